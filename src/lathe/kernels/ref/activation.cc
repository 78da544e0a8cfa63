#include "lathe/kernels/activation/activations.h"
#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {
namespace {

double value(ActivationId f, double x) {
  double y = 0;
  Activations::visit(f.index, [&](auto a) { y = decltype(a)::value(x); });
  return y;
}

double derivative(ActivationId f, double x) {
  double y = 0;
  Activations::visit(f.index, [&](auto a) { y = decltype(a)::derivative(x); });
  return y;
}

}  // namespace

void activation(ActivationId f, const TensorView& x, const TensorView& y) {
  for (int64_t i = 0; i < y.numel(); ++i)
    store(y, offset_of(y, i), value(f, load(x, offset_of(x, i))));
}

void activation_backward(ActivationId f, const TensorView& x, const TensorView& dy,
                         const TensorView& dx) {
  for (int64_t i = 0; i < dx.numel(); ++i)
    store(dx, offset_of(dx, i),
          load(dy, offset_of(dy, i)) * derivative(f, load(x, offset_of(x, i))));
}

void gated(ActivationId f, const TensorView& x_view, const TensorView& y_view) {
  const Array x(x_view), y(y_view);
  const int64_t width = y.size(1);
  for (int64_t n = 0; n < y.size(0); ++n)
    for (int64_t i = 0; i < width; ++i) y.set(value(f, x(n, i)) * x(n, width + i), n, i);
}

void gated_backward(ActivationId f, const TensorView& x_view, const TensorView& dy_view,
                    const TensorView& dx_view) {
  const Array x(x_view), dy(dy_view), dx(dx_view);
  const int64_t width = dy.size(1);
  for (int64_t n = 0; n < dy.size(0); ++n)
    for (int64_t i = 0; i < width; ++i) {
      const double gate = x(n, i), up = x(n, width + i), g = dy(n, i);
      dx.set(g * up * derivative(f, gate), n, i);
      dx.set(g * value(f, gate), n, width + i);
    }
}

}  // namespace lathe::kernels::ref
