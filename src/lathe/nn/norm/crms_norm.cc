// A pre-norm Transformer with layer norms can keep its residual stream at mean 0, where layer norm
// is RMS norm and any one channel is minus the sum of the others. This norm serves the stream
// without that channel: C channels stand for C + 1. Used from the start of training, as here, the
// stream is any C channels, and what the norm computes is layer norm of their completion.

#include "lathe/nn/norm/affine_norm.h"
#include "lathe/ops/norm.h"

namespace lathe {

std::unique_ptr<Norm> make_crms_norm(const NormOptions& options) {
  return make_affine_norm({.kind = "CRMSNorm", .op = ops::crms_norm}, options);
}

}  // namespace lathe
