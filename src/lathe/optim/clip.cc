#include "lathe/optim/clip.h"

#include <algorithm>
#include <cmath>

#include "lathe/base/error.h"

namespace lathe {

double global_grad_norm(std::span<const TrainedParameter> parameters, double grad_scale) {
  double total = 0;
  for (const TrainedParameter& p : parameters) {
    const Tensor& g = p.gradient->tensor;
    if (!p.gradient->written || g.numel() == 0) continue;
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
