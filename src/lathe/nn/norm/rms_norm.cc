#include "lathe/nn/norm/affine_norm.h"
#include "lathe/ops/norm.h"

namespace lathe {

namespace {

class RmsNorm : public AffineNorm {
 public:
  explicit RmsNorm(const NormShape& shape)
      : AffineNorm({.kind = "RMSNorm", .op = ops::rms_norm}, shape) {}
};

}  // namespace

NormComponent rms_norm() {
  return norm_component<RmsNorm>({.name = "rms",
                                  .summary = "x / rms(x) · w",
                                  .source = "Zhang & Sennrich 2019, arXiv:1910.07467"});
}

}  // namespace lathe
