// The log-sum-exp of every row of logits, from the cross entropy that a kernel computes in any case.
#pragma once

#include <vector>

#include "lathe/tensor/tensor.h"

namespace lathe::ops {

// For row n with the label l the loss −log p[l] plus logits[n, l]; where that logit is −inf, and the
// loss inf, the sum says nothing, so that the row itself is read. 0 for ignored labels.
class LogSumExp {
 public:
  // logits [N, V] in an accumulation dtype, labels i32 [N]. To be made before the kernel runs, which
  // may write over the logits.
  LogSumExp(const Tensor& logits, const Tensor& labels);

  // losses [N] as the kernel gives them. Once.
  std::vector<double> from(const Tensor& losses);

 private:
  std::vector<double> values_;  // before from(): the labels' logits
  std::vector<bool> known_;     // which values need no loss
};

}  // namespace lathe::ops
