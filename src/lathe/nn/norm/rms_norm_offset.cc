// The gain is 1 + w, so that weight decay pulls it to 1 and fresh weights are zeros (Gemma).

#include "lathe/nn/norm/affine_norm.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/norm.h"

namespace lathe {
namespace {

Var rms_norm_with_offset(const Var& x, const Var& w, const Var& b, double eps) {
  return ops::rms_norm(x, ops::shift(w, 1.0), b, eps);
}

}  // namespace

std::unique_ptr<Norm> make_rms_norm_offset(const NormOptions& options) {
  return make_affine_norm(
      {.kind = "RMSNorm", .op = rms_norm_with_offset, .gain = Initializer::Kind::kZeros}, options);
}

}  // namespace lathe
