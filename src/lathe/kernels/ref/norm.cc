// All norms are y = (x - mean)·rstd·w + b; the mean is 0 but for layer norm. With n = (x -
// mean)·rstd and g = dy·w, dx = rstd·(g - shift - n·slope):
//
//             slope              shift
//   RMS       mean(g·n)          0
//   layer     mean(g·n)          mean(g)
//   CRMS      sum(g·n)/(C + 1)   sum(x)·rstd·slope, as the dropped channel -sum(x) depends on all x
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

struct Saved {
  Array mean, sum, rstd;  // of the first two at most one
};

void backward(const Array& x, const Array& w, const Saved& saved, const Array& dy,
              const Kernels::LayerGradients& out) {
  const Array &mean = saved.mean, &sum = saved.sum, &rstd = saved.rstd;
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
    const double slope = sum_gn / static_cast<double>(width + (sum ? 1 : 0));
    double shift = mean ? sum_g / static_cast<double>(width) : 0.0;
    if (sum) shift = sum(n) * rstd(n) * slope;
    for (int64_t c = 0; c < width; ++c)
      dx.put(out.write_dx, rstd(n) * (inner(n, c) - shift - normalised(n, c) * slope), n, c);
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
                       const TensorView& dy, const Kernels::LayerGradients& out) {
  const Array none{TensorView{}};
  backward(Array(x), Array(w), {none, none, Array(rstd)}, Array(dy), out);
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
                         const Kernels::LayerGradients& out) {
  backward(Array(x), Array(w), {Array(mean), Array(TensorView{}), Array(rstd)}, Array(dy), out);
}

void crms_norm(const TensorView& x_view, const TensorView& w, const TensorView& b,
               const TensorView& y, const TensorView& sum_view, const TensorView& rstd_view,
               double eps) {
  const Array x(x_view), sum_out(sum_view), rstd(rstd_view);
  for (int64_t n = 0; n < x.size(0); ++n) {
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < x.size(1); ++c) {
      sum += x(n, c);
      squares += x(n, c) * x(n, c);
    }
    const double whole = static_cast<double>(x.size(1) + 1);
    const double r = 1.0 / std::sqrt((squares + sum * sum) / whole + eps);
    sum_out.set(sum, n);
    rstd.set(r, n);
    normalise_row(n, 0.0, r, x, Array(w), Array(b), Array(y));
  }
}

void crms_norm_backward(const TensorView& x, const TensorView& w, const TensorView& sum,
                        const TensorView& rstd, const TensorView& dy,
                        const Kernels::LayerGradients& out) {
  backward(Array(x), Array(w), {Array(TensorView{}), Array(sum), Array(rstd)}, Array(dy), out);
}

}  // namespace lathe::kernels::ref
