// The output head: from hidden states to a logit for every token of the vocabulary, all at once or
// by chunks of rows, so that the logits of a whole batch never exist.
#pragma once

#include <string_view>

#include "lathe/autograd/tape.h"

namespace lathe::ops {

// logits = soft_cap(hidden·Wᵀ + b, cap).
struct OutputHead {
  Var weight;            // [V, C]
  Var bias = {};         // [V], optional
  double softcap = 0.0;  // 0 is off

  OutputHead() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): most heads are a matrix and nothing else
  OutputHead(Var w) : weight(std::move(w)) {}
};

// The inputs of a head's losses, checked and flattened.
struct LabelledRows {
  Tensor hidden;      // [N, C]
  Tensor labels;      // i32 [N]; negative: ignored
  int64_t count = 0;  // labels that are not ignored
};

// hidden [.., C], labels i32 [..]. Errors, naming `op`: kShape if hidden, head and labels do not
// fit; kData if a label is not below V.
LabelledRows labelled_rows(std::string_view op, const Var& hidden, const OutputHead& head,
                           const Tensor& labels);

// The targets of a head's gradients; a gradient without a target is not computed.
struct HeadGradients {
  GradientTarget hidden, weight, bias;
};

// The logits of `hidden` [N, C] chunk by chunk, and the backward pass from their gradients. A chunk
// has enough rows for the products to run at full rate, and few enough to stay near the cache. Not
// thread-safe.
class HeadChunks {
 public:
  struct Chunk {
    int64_t first;  // its first row
    Tensor hidden;  // [n, C]
    Tensor logits;  // [n, V] in the accumulation dtype, may be overwritten; invalid after the next

    // The chunk's part of a tensor with one entry per row.
    Tensor of(const Tensor& each) const { return each.narrow(0, first, hidden.size(0)); }
  };

  HeadChunks(const Tensor& hidden, const OutputHead& head);

  // Calls f(chunk) for all rows in order.
  template <class F>
  void for_each(F&& f) const {
    for (int64_t first = 0; first < hidden_.size(0); first += rows_) f(chunk_at(first));
  }

  // The chunk that begins at row `first`, a multiple of the chunks' rows.
  Chunk chunk_at(int64_t first) const;

  // Room for the largest chunk's [n, V].
  Tensor room(DType dtype) const { return Tensor(logits_.shape(), dtype, hidden_.device()); }

  // Adds the contribution of `dlogits` [n, V] of the latest chunk to the gradients: to the rows of
  // the chunk in dhidden, and as a sum over chunks to the others. A Write of kOverwrite applies to
  // all chunks together. Overwrites dlogits.
  void differentiate(const Chunk& chunk, const Tensor& dlogits, const HeadGradients& out) const;

 private:
  Tensor hidden_;
  OutputHead head_;
  int64_t rows_;   // of a chunk
  Tensor logits_;  // of the latest chunk
  Tensor ratio_;   // its logits / cap before the soft cap, when there is one
};

}  // namespace lathe::ops
