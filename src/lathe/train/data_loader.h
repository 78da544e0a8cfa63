// Batches as a pure function of the step, so that resuming needs no saved position.
//
// Sample k is the T + 1 tokens from k·T on, of which the objective makes a row. In epoch e the
// samples come in the order of a permutation keyed by (seed, e), computed on the fly: nothing is
// stored, whatever the size. What an objective draws is keyed by (seed, e, k).
#pragma once

#include <cstdint>
#include <memory>

#include "lathe/base/rng.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/tensor/tensor.h"
#include "lathe/train/objective/objective.h"

namespace lathe {

// Rows of different lengths are filled up behind their ends. Undefined what the objective has not.
struct Batch {
  Tensor ids, labels;          // i32 [B,T]; label -1: no loss
  Tensor positions, segments;  // i32 [B,T] with a document mask
  Tensor prefix;               // i32 [B]
  Tensor text, text_segments;  // i32 [B,S], what an encoder reads; segment 0 is filling
  int64_t label_count = 0;
};

struct LoaderOptions {
  int64_t batch_size = 1, seq_len = 1, vocab_size = 0;
  bool shuffle = true, document_mask = false;
  Rng rng{0};
  std::shared_ptr<const Objective> objective = nullptr;  // default: the next token
};

class DataLoader {
 public:
  // Error kData when the shard is shorter than one sample. `shard` must outlive the loader.
  // `document_mask` is for rows that are the text itself, with the next token as label.
  DataLoader(const TokenShard& shard, const LoaderOptions& options);

  // Batch number `index` of the run, from 0; wraps into further epochs.
  Batch batch(int64_t index) const;
  int64_t samples_per_epoch() const { return samples_; }
  int64_t batch_size() const { return options_.batch_size; }

 private:
  struct Sample {
    int64_t epoch, index;
  };
  Sample sample_at(int64_t position) const;
  Example example_of(const Sample& sample) const;
  void mask_documents(int64_t sample, int64_t row, Batch& out) const;

  const TokenShard& shard_;
  LoaderOptions options_;
  int64_t samples_;
};

// Position i of a pseudo-random permutation of [0, n): a four-round Feistel network on the smallest
// even number of bits that holds n, walked until it lands inside (Black & Rogaway 2002, "Ciphers
// with arbitrary finite domains").
int64_t permuted(const Rng& rng, int64_t i, int64_t n);

}  // namespace lathe
