// The gain is 1 + w, so that weight decay pulls it to 1 and fresh weights are zeros (Gemma).

#include "lathe/nn/norm/affine_norm.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/norm.h"

namespace lathe {
namespace {

Var rms_norm_with_offset(const Var& x, const Var& w, const Var& b, double eps) {
  return ops::rms_norm(x, ops::shift(w, 1.0), b, eps);
}

class RmsNormOffset : public AffineNorm {
 public:
  explicit RmsNormOffset(const NormShape& shape)
      : AffineNorm(
            {.kind = "RMSNorm", .op = rms_norm_with_offset, .gain = Initializer::Kind::kZeros},
            shape) {}
};

}  // namespace

NormComponent rms_norm_offset() {
  return norm_component<RmsNormOffset>({.name = "rms_offset",
                                        .summary = "x / rms(x) · (1 + w)",
                                        .source = "Gemma Team 2024, arXiv:2403.08295"});
}

}  // namespace lathe
