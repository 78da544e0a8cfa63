#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void add(const TensorView& a, const TensorView& b, const TensorView& out) {
  for (int64_t i = 0; i < out.numel(); ++i)
    store(out, offset_of(out, i), load(a, offset_of(a, i)) + load(b, offset_of(b, i)));
}

void axpy(double alpha, const TensorView& x, const TensorView& y) {
  for (int64_t i = 0; i < y.numel(); ++i)
    store(y, offset_of(y, i), load(y, offset_of(y, i)) + alpha * load(x, offset_of(x, i)));
}

void scale(double alpha, const TensorView& x, const TensorView& out) {
  for (int64_t i = 0; i < out.numel(); ++i)
    store(out, offset_of(out, i), alpha * load(x, offset_of(x, i)));
}

void cast(const TensorView& x, const TensorView& out) { scale(1.0, x, out); }

void sum_rows(const TensorView& x_view, const TensorView& out_view, Write write) {
  const Array x(x_view), out(out_view);
  for (int64_t c = 0; c < x.size(1); ++c) {
    double sum = 0;
    for (int64_t n = 0; n < x.size(0); ++n) sum += x(n, c);
    out.put(write, sum, c);
  }
}

double sum_squares(const TensorView& x) {
  double sum = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double value = load(x, offset_of(x, i));
    sum += value * value;
  }
  return sum;
}

}  // namespace lathe::kernels::ref
