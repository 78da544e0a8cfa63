// Quantisation with feedback of errors (Frantar et al. 2022, arXiv:2210.17323, "GPTQ"). Columns are
// rounded one after the other, and what rounding one did to the outputs is made good, as far as it can
// be, by those that are still to be rounded: with M = E[x·xᵀ] of the inputs and U upper triangular,
// UᵀU = (M + damping)⁻¹,
//
//   w_k -= (w_j - rounded w_j)·U_jk / U_jj   for every k > j
//
// minimises tr (W - W')·M·(W - W')ᵀ = E|(W - W')x|² column by column. Scales are chosen when the first
// column of a block comes, from the block's weights as they are then.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>

#include "lathe/model/gguf/calibration.h"
#include "lathe/model/gguf/encode_tensor.h"
#include "lathe/model/weight_map.h"

namespace lathe {

// M of the matrices of a model: those of as many as fit into `most_bytes` are collected in one run over
// the text, so that asking for tensors in the order of the file runs over it seldom. Not thread-safe;
// model and text must outlive it.
class InputMoments {
 public:
  InputMoments(Transformer& model, std::span<const int32_t> text,
               const CalibrationOptions& options = {}, size_t most_bytes = size_t{1} << 30);
  // f32 [I, I]; nullptr for a tensor whose inputs are not shown (show_inputs()), for tables and for
  // vectors. Valid until the next call. Throws as show_inputs().
  const Tensor* of(const DiskTensor& tensor);

 private:
  struct Sum {
    Tensor products;
    int64_t rows = 0;
  };
  void collect_from(size_t first);

  Transformer& model_;
  std::span<const int32_t> text_;
  CalibrationOptions options_;
  size_t most_bytes_;
  std::vector<const Parameter*> order_;
  std::map<const Parameter*, Sum> sums_;  // of those of the last run that were shown
  std::map<const Parameter*, bool> run_;  // of which a run has been
};

// For the tensors that are multiplied with the same inputs.
class ErrorFeedback {
 public:
  // `moments` f32 [I, I]; 10 % of the mean of its diagonal is added to it.
  explicit ErrorFeedback(const Tensor& moments);

  // values f32 [O, I], finite; `type` has a grid. Importance as for encode_tensor().
  EncodedTensor encode(const Tensor& values, const BlockType& type,
                       std::span<const float> importance) const;
  // tr (W - W')·M·(W - W')ᵀ, M without damping.
  double output_error(const Tensor& values, const Tensor& decoded) const;

 private:
  Tensor moments_, steps_;  // steps_[j, k] = U_jk / U_jj
};

}  // namespace lathe
