// Batches as a pure function of the step: sample_source.h says which tokens, the objective makes a
// row of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/tensor/tensor.h"
#include "lathe/train/objective/objective.h"
#include "lathe/train/sample_source.h"

namespace lathe {

// Rows of different lengths are filled up behind their ends. Undefined what the objective has not.
struct Batch {
  Tensor ids, labels;                   // i32 [B,T]; label -1: no loss
  Tensor positions, segments;           // i32 [B,T] with a document mask
  Tensor prefix;                        // i32 [B]
  Tensor text, text_segments;           // i32 [B,S], what an encoder reads; segment 0 is filling
  std::vector<std::string_view> kinds;  // Example::kind of each row; empty where there are none
  int64_t label_count = 0;
};

// How samples become rows.
struct RowOptions {
  int64_t batch_size = 1, vocab_size = 0;
  // For rows that are the text itself, with the next token as label.
  bool document_mask = false;
  std::shared_ptr<const Objective> objective = nullptr;  // default: the next token
};

// Which samples of a single shard, and the same.
struct LoaderOptions {
  int64_t batch_size = 1, seq_len = 1, vocab_size = 0;
  bool shuffle = true, document_mask = false;
  Rng rng{0};
  std::shared_ptr<const Objective> objective = nullptr;  // default: the next token
};

class DataLoader {
 public:
  DataLoader(SampleSource source, RowOptions options);
  // Of one shard, which outlives the loader. Error kData when it is shorter than one sample.
  DataLoader(const TokenShard& shard, const LoaderOptions& options);

  // Batch number `index` of the run, from 0; wraps into further epochs.
  Batch batch(int64_t index) const;
  // Samples [first, first + count).
  Batch rows(int64_t first, int64_t count) const;
  const SampleSource& source() const { return source_; }
  int64_t samples_per_epoch() const { return source_.samples_per_epoch(); }
  int64_t batch_size() const { return options_.batch_size; }

 private:
  Example example_of(const SampleSource::Sample& sample) const;
  void mask_documents(const SampleSource::Sample& sample, int64_t row, Batch& out) const;

  SampleSource source_;
  RowOptions options_;
};

}  // namespace lathe
