#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void matmul(const TensorView& a_view, const TensorView& b_view, const TensorView& bias_view,
            const TensorView& c_view, Write write) {
  const Array a(a_view), b(b_view), bias(bias_view), c(c_view);
  for (int64_t m = 0; m < c.size(0); ++m)
    for (int64_t n = 0; n < c.size(1); ++n) {
      double sum = bias ? bias(n) : 0;
      for (int64_t k = 0; k < a.size(1); ++k) sum += a(m, k) * b(k, n);
      c.put(write, sum, m, n);
    }
}

void row_matmul(const TensorView& a, const TensorView& b, const TensorView& bias,
                const TensorView& c, Write write) {
  matmul(a, b, bias, c, write);
}

}  // namespace lathe::kernels::ref
