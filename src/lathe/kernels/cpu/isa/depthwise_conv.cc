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
T* row_at(const TensorView& t, int64_t b, int64_t i, int64_t channel) {
  return t.as<T>() + b * t.stride[0] + i * t.stride[1] + channel;
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
void convolve_row(const RowCall& c, int64_t b, int64_t i, const Partner& partner) {
  const int64_t width = c.to.shape[2];
  for (int64_t at = 0; at < width; at += kStrip) {
    const int64_t n = std::min(kStrip, width - at);
    float sum[kStrip] = {};
    if (c.bias)
      with_type(c.bias.dtype, [&](auto t) { add_to(c.bias.as<decltype(t)>() + at, sum, n); });
    for (int64_t u = 0; u < c.taps; ++u) {
      const int64_t other = partner(u);
      if (other < 0) continue;
      with_type(c.w.dtype, [&](auto t) {
        add_product(row_of<decltype(t)>(c.w, u) + at, row_at<T>(c.from, b, other, at), sum, n);
      });
    }
    write(sum, c.write, row_at<T>(c.to, b, i, at), n);
  }
}

}  // namespace

void depthwise_conv(const TensorView& x, const TensorView& w, const TensorView& bias,
                    const TensorView& y, const ConvSpec& spec) {
  const int64_t tokens = y.shape[1];
  const ConvTaps taps(spec, tokens, x.shape[1]);
  const RowCall call{x, w, bias, y, spec.taps, Write::kOverwrite};
  with_type(x.dtype, [&](auto type) {
    parallel_for(y.shape[0] * tokens, row_grain(y.shape[2] * spec.taps, kGrain), [&](int64_t row) {
      const int64_t b = row / tokens, t = row % tokens;
      convolve_row<decltype(type)>(call, b, t, [&](int64_t u) { return taps.input(b, t, u); });
    });
  });
}

namespace {

// dw[:, strip] and db[strip]; `sums` has room for (taps + 1)·kStrip.
template <class T>
void parameter_gradients(const TensorView& x, const TensorView& dy, const ConvSpec& spec,
                         const Kernels::LayerGradients& out, int64_t at, float* sums) {
  const ConvTaps taps(spec, dy.shape[1], x.shape[1]);
  const int64_t n = std::min(kStrip, x.shape[2] - at);
  std::fill_n(sums, (spec.taps + 1) * kStrip, 0.0f);
  for (int64_t b = 0; b < dy.shape[0]; ++b)
    for (int64_t t = 0; t < dy.shape[1]; ++t) {
      const T* upstream = row_at<T>(dy, b, t, at);
      for (int64_t u = 0; u < spec.taps; ++u)
        if (const int64_t s = taps.input(b, t, u); s >= 0)
          add_product(upstream, row_at<T>(x, b, s, at), sums + u * kStrip, n);
      add_to(upstream, sums + spec.taps * kStrip, n);
    }
  if (out.dw)
    for (int64_t u = 0; u < spec.taps; ++u)
      write(sums + u * kStrip, out.write_dw, row_of<float>(out.dw, u) + at, n);
  if (out.db) write(sums + spec.taps * kStrip, out.write_db, out.db.as<float>() + at, n);
}

}  // namespace

void depthwise_conv_backward(const TensorView& x, const TensorView& w, const TensorView& dy,
                             const ConvSpec& spec, const Kernels::LayerGradients& out) {
  const int64_t tokens = x.shape[1], width = x.shape[2];
  const ConvTaps taps(spec, dy.shape[1], tokens);
  const TensorView no_bias;
  const RowCall call{dy, w, no_bias, out.dx, spec.taps, out.write_dx};
  const int64_t strips = (width + kStrip - 1) / kStrip;
  const Scratch sums((spec.taps + 1) * kStrip, thread_count());
  with_type(x.dtype, [&](auto type) {
    using T = decltype(type);
    parallel_for(x.shape[0] * tokens, row_grain(width * spec.taps, kGrain), [&](int64_t row) {
      const int64_t b = row / tokens, s = row % tokens;
      convolve_row<T>(call, b, s, [&](int64_t u) { return taps.output(b, s, u); });
    });
    if (!out.dw && !out.db) return;
    const int64_t grain = row_grain(dy.shape[0] * dy.shape[1] * kStrip * spec.taps, kGrain);
    parallel_ranges(strips, grain, [&](Range range, int thread) {
      for (int64_t strip = range.begin; strip < range.end; ++strip)
        parameter_gradients<T>(x, dy, spec, out, strip * kStrip, sums.of_thread(thread));
    });
  });
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
