// A pre-norm Transformer with layer norms can keep its residual stream at mean 0, where layer norm
// is RMS norm and any one channel is minus the sum of the others. This norm serves the stream
// without that channel: C channels stand for C + 1. Used from the start of training, as here, the
// stream is any C channels, and what the norm computes is layer norm of their completion.

#include "lathe/nn/norm/affine_norm.h"
#include "lathe/ops/norm.h"

namespace lathe {

namespace {

class CrmsNorm : public AffineNorm {
 public:
  explicit CrmsNorm(const NormShape& shape)
      : AffineNorm({.kind = "CRMSNorm", .op = ops::crms_norm}, shape) {}
};

}  // namespace

NormComponent crms_norm() {
  return norm_component<CrmsNorm>(
      {.name = "crms",
       .summary = "x / sqrt((sum(x²) + sum(x)²) / (C + 1)) · w: layer norm of [x, -sum(x)] without "
                  "its last channel",
       .source = "Jiang et al. 2023, arXiv:2305.14858"});
}

}  // namespace lathe
