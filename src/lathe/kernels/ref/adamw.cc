#include <cmath>

#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void adamw(const TensorView& w_view, const TensorView& g_view, const TensorView& m_view,
           const TensorView& v_view, const TensorView& copy_view, const AdamWSpec& spec) {
  const Array w(w_view), g(g_view), m(m_view), v(v_view), copy(copy_view);
  for (int64_t i = 0; i < w.size(0); ++i) {
    const double gradient = g(i) * spec.grad_scale;
    const double first = spec.beta1 * m(i) + (1.0 - spec.beta1) * gradient;
    const double second = spec.beta2 * v(i) + (1.0 - spec.beta2) * gradient * gradient;
    const double step =
        first / spec.correction1 / (std::sqrt(second / spec.correction2) + spec.eps);
    const double updated =
        w(i) * (1.0 - static_cast<double>(spec.lr) * spec.weight_decay) - spec.lr * step;
    m.set(first, i);
    v.set(second, i);
    w.set(updated, i);
    if (copy) copy.set(updated, i);
  }
}

}  // namespace lathe::kernels::ref
