// One step applies p(s) = a·s + b·s³ + c·s⁵ to every singular value s, without a decomposition:
//
//   X ← a·X + (b·G + c·G²)·X  with the Gram matrix G = X·Xᵀ
//
// The coefficients are those of Jordan et al.: a is large, so that small singular values
// grow 3.4-fold per step, and near 1 the map does not converge but stays within a band, which
// training does not mind. The Gram matrix is taken on the shorter side (X·(b·G + c·G²) with G =
// Xᵀ·X for tall matrices): the cost is then 2·steps·min(R,C)·(2·R·C + min(R,C)²) floating-point
// operations.
#include "lathe/optim/newton_schulz.h"

#include <cmath>
#include <utility>

#include "lathe/base/error.h"
#include "lathe/kernels/kernels.h"

namespace lathe::optim {

Tensor newton_schulz(const Tensor& x, int64_t steps) {
  require(x.rank() == 2 && x.contiguous(), ErrorKind::kShape, "newton_schulz",
          "got shape {}, expected a contiguous matrix", x.shape());
  constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
  using kernels::Write;
  const kernels::Kernels& k = kernels::kernels_for(x.device());
  if (x.numel() == 0) return x.clone();
  const double norm = std::sqrt(k.sum_squares(x));
  if (norm == 0) return Tensor::zeros(x.shape(), x.dtype(), x.device());

  const bool wide = x.size(0) <= x.size(1);
  const int64_t n = wide ? x.size(0) : x.size(1);
  const auto make = [&](const Shape& shape) { return Tensor(shape, x.dtype(), x.device()); };
  Tensor y = make(x.shape()), next = make(x.shape());
  Tensor gram = make({n, n}), polynomial = make({n, n});
  k.scale(1 / norm, x, y);
  for (int64_t i = 0; i < steps; ++i) {
    const Tensor yt = y.transpose(0, 1);
    k.matmul(wide ? y : yt, wide ? yt : y, {}, gram, Write::kOverwrite);
    k.matmul(gram, gram, {}, polynomial, Write::kOverwrite);
    k.scale(c, polynomial, polynomial);
    k.axpy(b, gram, polynomial);
    k.matmul(wide ? polynomial : y, wide ? y : polynomial, {}, next, Write::kOverwrite);
    k.axpy(a, y, next);
    std::swap(y, next);
  }
  return y;
}

}  // namespace lathe::optim
