#include "lathe/optim/clip.h"

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"

namespace lathe {

double global_grad_norm(std::span<Parameter* const> parameters, double grad_scale) {
  double total = 0;
  for (const Parameter* p : parameters) {
    if (!p->grad.written || p->grad.tensor.numel() == 0) continue;
    const Tensor& g = p->grad.tensor;
    total += kernels::kernels_for(g.device()).sum_squares(g.reshape({g.numel()}));
  }
  return std::abs(grad_scale) * std::sqrt(total);
}

double clip_factor(double norm, double max_norm) {
  require(std::isfinite(norm), ErrorKind::kNumeric, "clip",
          "the gradient norm is {}; skip the step, lower the learning rate or look at the batch",
          norm);
  if (max_norm <= 0) return 1.0;
  return std::min(1.0, max_norm / (norm + 1e-6));
}

}  // namespace lathe
