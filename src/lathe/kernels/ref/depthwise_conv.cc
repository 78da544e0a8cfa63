#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void depthwise_conv(const TensorView& x_view, const TensorView& w_view, const TensorView& b_view,
                    const TensorView& y_view, const ConvSpec& spec) {
  const Array x(x_view), w(w_view), bias(b_view), y(y_view);
  for_each_conv_row(spec, spec.outputs, {0, y.size(0)}, [&](const ConvTaps& taps, int64_t n) {
    for (int64_t c = 0; c < y.size(1); ++c) {
      double sum = bias ? bias(c) : 0.0;
      for (int64_t u = 0; u < spec.taps; ++u)
        if (const int64_t m = taps.input(n, u); m >= 0) sum += w(u, c) * x(m, c);
      y.set(sum, n, c);
    }
  });
}

namespace {

void input_gradient(const Array& w, const Array& dy, const ConvSpec& spec,
                    const Kernels::LayerGradients& out) {
  const Array dx(out.dx);
  for_each_conv_row(spec, spec.inputs, {0, dx.size(0)}, [&](const ConvTaps& taps, int64_t m) {
    for (int64_t c = 0; c < dx.size(1); ++c) {
      double sum = 0;
      for (int64_t u = 0; u < spec.taps; ++u)
        if (const int64_t n = taps.output(m, u); n >= 0) sum += w(u, c) * dy(n, c);
      dx.put(out.write_dx, sum, m, c);
    }
  });
}

}  // namespace

void depthwise_conv_backward(const TensorView& x_view, const TensorView& w_view,
                             const TensorView& dy_view, const ConvSpec& spec,
                             const Kernels::LayerGradients& out) {
  const Array x(x_view), w(w_view), dy(dy_view), dw(out.dw), db(out.db);
  input_gradient(w, dy, spec, out);
  for (int64_t c = 0; c < x.size(1); ++c) {
    double bias = 0;
    for (int64_t u = 0; u < spec.taps; ++u) {
      double sum = 0;
      for_each_conv_row(spec, spec.outputs, {0, dy.size(0)}, [&](const ConvTaps& taps, int64_t n) {
        if (const int64_t m = taps.input(n, u); m >= 0) sum += dy(n, c) * x(m, c);
      });
      if (dw) dw.put(out.write_dw, sum, u, c);
    }
    for (int64_t n = 0; n < dy.size(0); ++n) bias += dy(n, c);
    if (db) db.put(out.write_db, bias, c);
  }
}

}  // namespace lathe::kernels::ref
