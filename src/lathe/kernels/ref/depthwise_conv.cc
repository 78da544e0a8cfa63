#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void depthwise_conv(const TensorView& x_view, const TensorView& w_view, const TensorView& b_view,
                    const TensorView& y_view, const ConvSpec& spec) {
  const Array x(x_view), w(w_view), bias(b_view), y(y_view);
  const ConvTaps taps(spec, y.size(1), x.size(1));
  for (int64_t b = 0; b < y.size(0); ++b)
    for (int64_t t = 0; t < y.size(1); ++t)
      for (int64_t c = 0; c < y.size(2); ++c) {
        double sum = bias ? bias(c) : 0.0;
        for (int64_t u = 0; u < spec.taps; ++u)
          if (const int64_t s = taps.input(b, t, u); s >= 0) sum += w(u, c) * x(b, s, c);
        y.set(sum, b, t, c);
      }
}

namespace {

void input_gradient(const Array& w, const Array& dy, const ConvTaps& taps, const ConvSpec& spec,
                    const Kernels::LayerGradients& out) {
  const Array dx(out.dx);
  for (int64_t b = 0; b < dx.size(0); ++b)
    for (int64_t s = 0; s < dx.size(1); ++s)
      for (int64_t c = 0; c < dx.size(2); ++c) {
        double sum = 0;
        for (int64_t u = 0; u < spec.taps; ++u)
          if (const int64_t t = taps.output(b, s, u); t >= 0) sum += w(u, c) * dy(b, t, c);
        dx.put(out.write_dx, sum, b, s, c);
      }
}

}  // namespace

void depthwise_conv_backward(const TensorView& x_view, const TensorView& w_view,
                             const TensorView& dy_view, const ConvSpec& spec,
                             const Kernels::LayerGradients& out) {
  const Array x(x_view), w(w_view), dy(dy_view), dw(out.dw), db(out.db);
  const ConvTaps taps(spec, dy.size(1), x.size(1));
  input_gradient(w, dy, taps, spec, out);
  for (int64_t c = 0; c < x.size(2); ++c) {
    double bias = 0;
    for (int64_t u = 0; u < spec.taps; ++u) {
      double sum = 0;
      for (int64_t b = 0; b < dy.size(0); ++b)
        for (int64_t t = 0; t < dy.size(1); ++t)
          if (const int64_t s = taps.input(b, t, u); s >= 0) sum += dy(b, t, c) * x(b, s, c);
      if (dw) dw.put(out.write_dw, sum, u, c);
    }
    for (int64_t b = 0; b < dy.size(0); ++b)
      for (int64_t t = 0; t < dy.size(1); ++t) bias += dy(b, t, c);
    if (db) db.put(out.write_db, bias, c);
  }
}

}  // namespace lathe::kernels::ref
