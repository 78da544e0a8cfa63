// The log-sum-exp of every row of logits, from the cross entropy that a kernel computes anyway.
#pragma once

#include <vector>

#include "lathe/tensor/tensor.h"

namespace lathe::ops {

// For row n with the label l it is the loss −log p[l] plus logits[n, l]; if that logit is −inf and
// the loss inf, the sum is undefined, so the row itself is read. 0 for ignored labels.
class LogSumExp {
 public:
  // logits [N, V] in an accumulation dtype, labels i32 [N]. Must be constructed before the kernel
  // runs, because it may overwrite the logits.
  LogSumExp(const Tensor& logits, const Tensor& labels);

  // losses [N] are those of the kernel. May be called once.
  std::vector<double> from(const Tensor& losses);

 private:
  std::vector<double> values_;  // before from(): the labels' logits
  std::vector<bool> known_;     // which values need no loss
};

}  // namespace lathe::ops
