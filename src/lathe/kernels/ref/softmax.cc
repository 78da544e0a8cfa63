#include <algorithm>
#include <cmath>

#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void softmax(const TensorView& x_view, const TensorView& y_view, const TensorView& lse_view) {
  const Array x(x_view), y(y_view), lse(lse_view);
  const int64_t width = y.size(1);
  for (int64_t n = 0; n < y.size(0); ++n) {
    double max = x(n, 0), sum = 0;
    for (int64_t i = 1; i < width; ++i) max = std::max(max, x(n, i));
    for (int64_t i = 0; i < width; ++i) sum += std::exp(x(n, i) - max);
    if (lse) lse.set(max + std::log(sum), n);
    for (int64_t i = 0; i < width; ++i) y.set(std::exp(x(n, i) - max) / sum, n, i);
  }
}

void softmax_backward(const TensorView& y_view, const TensorView& dy_view,
                      const TensorView& dx_view) {
  const Array y(y_view), dy(dy_view), dx(dx_view);
  for (int64_t n = 0; n < y.size(0); ++n) {
    double mean = 0;
    for (int64_t i = 0; i < y.size(1); ++i) mean += y(n, i) * dy(n, i);
    for (int64_t i = 0; i < y.size(1); ++i) dx.set(y(n, i) * (dy(n, i) - mean), n, i);
  }
}

}  // namespace lathe::kernels::ref
