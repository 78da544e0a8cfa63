// Batches as a pure function of the step: a row source (sample_source.h) chooses the tokens of a
// row, and a row format (row_format/row_format.h) makes the row.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "lathe/tensor/tensor.h"
#include "lathe/train/row_format/row_format.h"
#include "lathe/train/sample_source.h"

namespace lathe {

// Rows of different lengths are padded at the end. Tensors that the format does not have are
// undefined.
struct Batch {
  Tensor ids, labels;                   // i32 [B,T]; label -1: no loss
  Tensor positions, segments;           // i32 [B,T] with a document mask
  Tensor prefix;                        // i32 [B]
  Tensor text, text_segments;           // i32 [B,S], what an encoder reads; segment 0 is filling
  std::vector<std::string_view> kinds;  // Row::kind of each row; empty where there are none
  int64_t label_count = 0;
};

struct LoaderOptions {
  int64_t batch_size = 1, vocab_size = 0;
  // Tokens see only their own document; the format is plain text.
  bool document_mask = false;
};

// Thread-safe.
class DataLoader {
 public:
  DataLoader(SampleSource source, std::shared_ptr<const RowFormat> format, LoaderOptions options)
      : source_(std::move(source)), format_(std::move(format)), options_(options) {}

  // Batch number `index` of the run, from 0; wraps into further epochs.
  Batch batch(int64_t index) const;
  // Samples [first, first + count).
  Batch rows(int64_t first, int64_t count) const;
  const SampleSource& source() const { return source_; }
  int64_t samples_per_epoch() const { return source_.samples_per_epoch(); }
  int64_t batch_size() const { return options_.batch_size; }

 private:
  Row row_of(const SampleSource::Sample& sample) const;
  void mask_documents(const SampleSource::Sample& sample, int64_t row, Batch& out) const;

  SampleSource source_;
  std::shared_ptr<const RowFormat> format_;
  LoaderOptions options_;
};

}  // namespace lathe
