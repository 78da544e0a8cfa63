#include "lathe/nn/norm/affine_norm.h"
#include "lathe/ops/norm.h"

namespace lathe {

namespace {

class LayerNorm : public AffineNorm {
 public:
  explicit LayerNorm(const NormShape& shape)
      : AffineNorm({.kind = "LayerNorm", .op = ops::layer_norm}, shape) {}
};

}  // namespace

NormComponent layer_norm() {
  return norm_component<LayerNorm>({.name = "layer",
                                    .summary = "(x - mean) / std · w + b",
                                    .source = "Ba et al. 2016, arXiv:1607.06450"});
}

}  // namespace lathe
