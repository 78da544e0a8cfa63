// Channels are the vectors: an output row is the bias plus a few input rows, each times a row of
// the weight. A strip of channels is added up in a local array of floats and rounded once.
//
// The gradients of weight and bias are sums over all tokens. Threads take strips of channels, so
// that no two add to the same number and the order of the sums depends on nothing.
#include <algorithm>

#include "lathe/base/parallel.h"
#include "lathe/kernels/cpu/isa/isa.h"
#include "lathe/kernels/cpu/scratch.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/loops.h"
namespace {

// Long enough that finding the token of a tap costs little beside its products.
constexpr int64_t kStrip = 256;

template <class T>
T* row_at(const TensorView& t, int64_t row, int64_t channel) {
  return t.as<T>() + row * t.stride[0] + channel;
}

// sum[c] += a[c] · b[c].
template <class A, class B>
void add_product(const A* a, const B* b, float* sum, int64_t n) {
#pragma omp simd
  for (int64_t c = 0; c < n; ++c) sum[c] += to_float(a[c]) * to_float(b[c]);
}

template <class T>
void add_to(const T* a, float* sum, int64_t n) {
#pragma omp simd
  for (int64_t c = 0; c < n; ++c) sum[c] += to_float(a[c]);
}

template <class T>
void write(const float* from, Write how, T* to, int64_t n) {
  if (how == Write::kAccumulate) {
#pragma omp simd
    for (int64_t c = 0; c < n; ++c) put(to[c], to_float(to[c]) + from[c]);
  } else {
#pragma omp simd
    for (int64_t c = 0; c < n; ++c) put(to[c], from[c]);
  }
}

// One row of `to` from rows of `from`: partner(u) is the one that tap u pairs it with, or -1.
struct RowCall {
  const TensorView &from, &w, &bias, &to;
  int64_t taps;
  Write write;
};
template <class T, class Partner>
void convolve_row(const RowCall& c, int64_t row, const Partner& partner) {
  const int64_t width = c.to.shape[1];
  for (int64_t at = 0; at < width; at += kStrip) {
    const int64_t n = std::min(kStrip, width - at);
    float sum[kStrip] = {};
    if (c.bias)
      with_type(c.bias.dtype, [&](auto t) { add_to(c.bias.as<decltype(t)>() + at, sum, n); });
    for (int64_t u = 0; u < c.taps; ++u) {
      const int64_t other = partner(u);
      if (other < 0) continue;
      with_type(c.w.dtype, [&](auto t) {
        add_product(row_of<decltype(t)>(c.w, u) + at, row_at<T>(c.from, other, at), sum, n);
      });
    }
    write(sum, c.write, row_at<T>(c.to, row, at), n);
  }
}

}  // namespace

void depthwise_conv(const TensorView& x, const TensorView& w, const TensorView& bias,
                    const TensorView& y, const ConvSpec& spec) {
  const RowCall call{x, w, bias, y, spec.taps, Write::kOverwrite};
  with_type(x.dtype, [&](auto type) {
    parallel_ranges(y.shape[0], row_grain(y.shape[1] * spec.taps, kGrain), [&](Range mine, int) {
      for_each_conv_row(spec, spec.outputs, mine, [&](const ConvTaps& taps, int64_t n) {
        convolve_row<decltype(type)>(call, n, [&](int64_t u) { return taps.input(n, u); });
      });
    });
  });
}

namespace {

// dw[:, strip] and db[strip]; `sums` has room for (taps + 1)·kStrip.
template <class T>
void parameter_gradients(const TensorView& x, const TensorView& dy, const ConvSpec& spec,
                         const Kernels::LayerGradients& out, int64_t at, float* sums) {
  const int64_t n = std::min(kStrip, x.shape[1] - at);
  std::fill_n(sums, (spec.taps + 1) * kStrip, 0.0f);
  for_each_conv_row(spec, spec.outputs, {0, dy.shape[0]}, [&](const ConvTaps& taps, int64_t row) {
    const T* upstream = row_at<T>(dy, row, at);
    for (int64_t u = 0; u < spec.taps; ++u)
      if (const int64_t m = taps.input(row, u); m >= 0)
        add_product(upstream, row_at<T>(x, m, at), sums + u * kStrip, n);
    add_to(upstream, sums + spec.taps * kStrip, n);
  });
  if (out.dw)
    for (int64_t u = 0; u < spec.taps; ++u)
      write(sums + u * kStrip, out.write_dw, row_of<float>(out.dw, u) + at, n);
  if (out.db) write(sums + spec.taps * kStrip, out.write_db, out.db.as<float>() + at, n);
}

}  // namespace

void depthwise_conv_backward(const TensorView& x, const TensorView& w, const TensorView& dy,
                             const ConvSpec& spec, const Kernels::LayerGradients& out) {
  const int64_t width = x.shape[1];
  const TensorView no_bias;
  const RowCall call{dy, w, no_bias, out.dx, spec.taps, out.write_dx};
  const int64_t strips = (width + kStrip - 1) / kStrip;
  const Scratch sums((spec.taps + 1) * kStrip, thread_count());
  with_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    parallel_ranges(x.shape[0], row_grain(width * spec.taps, kGrain), [&](Range mine, int) {
      for_each_conv_row(spec, spec.inputs, mine, [&](const ConvTaps& taps, int64_t m) {
        convolve_row<T>(call, m, [&](int64_t u) { return taps.output(m, u); });
      });
    });
    if (!out.dw && !out.db) return;
    const int64_t grain = row_grain(dy.shape[0] * kStrip * spec.taps, kGrain);
    parallel_ranges(strips, grain, [&](Range range, int thread) {
      for (int64_t strip = range.begin; strip < range.end; ++strip)
        parameter_gradients<T>(x, dy, spec, out, strip * kStrip, sums.of_thread(thread));
    });
  });
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
