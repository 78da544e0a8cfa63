// Both norms are y = (x - mean)·rstd·w + b; RMS norm is the one whose mean is 0. With n = (x -
// mean)·rstd and g = dy·w, dx = rstd·(g - mean(g) - n·mean(g·n)), where RMS norm has no mean(g)
// either.
#include <cmath>

#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {
namespace {

void normalise_row(int64_t n, double mean, double rstd, const Array& x, const Array& w,
                   const Array& b, const Array& y) {
  for (int64_t c = 0; c < x.size(1); ++c)
    y.set((x(n, c) - mean) * rstd * (w ? w(c) : 1.0) + (b ? b(c) : 0.0), n, c);
}

// `mean` absent: RMS norm.
void backward(const Array& x, const Array& w, const Array& mean, const Array& rstd, const Array& dy,
              const Kernels::NormGradients& out) {
  const Array dx(out.dx), dw(out.dw), db(out.db);
  const int64_t rows = x.size(0), width = x.size(1);
  const auto normalised = [&](int64_t n, int64_t c) {
    return (x(n, c) - (mean ? mean(n) : 0.0)) * rstd(n);
  };
  const auto inner = [&](int64_t n, int64_t c) { return dy(n, c) * (w ? w(c) : 1.0); };
  for (int64_t n = 0; n < rows; ++n) {
    double sum_g = 0, sum_gn = 0;
    for (int64_t c = 0; c < width; ++c) {
      sum_g += inner(n, c);
      sum_gn += inner(n, c) * normalised(n, c);
    }
    const double mean_g = mean ? sum_g / static_cast<double>(width) : 0.0;
    const double mean_gn = sum_gn / static_cast<double>(width);
    for (int64_t c = 0; c < width; ++c)
      dx.put(out.write_dx, rstd(n) * (inner(n, c) - mean_g - normalised(n, c) * mean_gn), n, c);
  }
  for (int64_t c = 0; c < width; ++c) {
    double sum_dw = 0, sum_db = 0;
    for (int64_t n = 0; n < rows; ++n) {
      sum_dw += dy(n, c) * normalised(n, c);
      sum_db += dy(n, c);
    }
    if (dw) dw.put(out.write_dw, sum_dw, c);
    if (db) db.put(out.write_db, sum_db, c);
  }
}

}  // namespace

void rms_norm(const TensorView& x_view, const TensorView& w, const TensorView& b,
              const TensorView& y, const TensorView& rstd_view, double eps) {
  const Array x(x_view), rstd(rstd_view);
  for (int64_t n = 0; n < x.size(0); ++n) {
    double squares = 0;
    for (int64_t c = 0; c < x.size(1); ++c) squares += x(n, c) * x(n, c);
    const double r = 1.0 / std::sqrt(squares / static_cast<double>(x.size(1)) + eps);
    rstd.set(r, n);
    normalise_row(n, 0.0, r, x, Array(w), Array(b), Array(y));
  }
}

void rms_norm_backward(const TensorView& x, const TensorView& w, const TensorView& rstd,
                       const TensorView& dy, const Kernels::NormGradients& out) {
  backward(Array(x), Array(w), Array(TensorView{}), Array(rstd), Array(dy), out);
}

void layer_norm(const TensorView& x_view, const TensorView& w, const TensorView& b,
                const TensorView& y, const TensorView& mean_view, const TensorView& rstd_view,
                double eps) {
  const Array x(x_view), mean(mean_view), rstd(rstd_view);
  const double width = static_cast<double>(x.size(1));
  for (int64_t n = 0; n < x.size(0); ++n) {
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < x.size(1); ++c) sum += x(n, c);
    const double mu = sum / width;
    for (int64_t c = 0; c < x.size(1); ++c) squares += (x(n, c) - mu) * (x(n, c) - mu);
    const double r = 1.0 / std::sqrt(squares / width + eps);
    mean.set(mu, n);
    rstd.set(r, n);
    normalise_row(n, mu, r, x, Array(w), Array(b), Array(y));
  }
}

void layer_norm_backward(const TensorView& x, const TensorView& w, const TensorView& mean,
                         const TensorView& rstd, const TensorView& dy,
                         const Kernels::NormGradients& out) {
  backward(Array(x), Array(w), Array(mean), Array(rstd), Array(dy), out);
}

}  // namespace lathe::kernels::ref
