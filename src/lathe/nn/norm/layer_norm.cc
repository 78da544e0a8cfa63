#include "lathe/nn/norm/affine_norm.h"
#include "lathe/ops/norm.h"

namespace lathe {

std::unique_ptr<Norm> make_layer_norm(const NormOptions& options) {
  return make_affine_norm({.kind = "LayerNorm", .op = ops::layer_norm}, options);
}

}  // namespace lathe
