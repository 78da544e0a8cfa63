// RMS norm, layer norm and CRMS norm are y = (x - mean)·rstd·w + b, with mean 0 but for layer norm:
// one set of loops for all. ref/norm.cc has the gradients.
//
// A row fits in L1, so its statistics and its outputs are two loops over the row and one pass over
// memory. The backward makes dx and the row's share of dw and db in the same pass: each thread adds
// its rows up in scratch, and the threads' sums are added in thread order.
#include <algorithm>
#include <cmath>

#include "lathe/base/parallel.h"
#include "lathe/kernels/cpu/isa/isa.h"
#include "lathe/kernels/cpu/scratch.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/loops.h"
namespace {

template <class T>
float sum_of(const T* x, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += to_float(x[i]);
  return sum;
}

template <class T>
float mean_square_of(const T* x, float mean, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    const float centred = to_float(x[i]) - mean;
    sum += centred * centred;
  }
  return sum / static_cast<float>(n);
}

template <bool kWeight, bool kBias, class T>
void write_row(const T* x, float mean, float rstd, const float* w, const float* b, T* y,
               int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    float value = (to_float(x[i]) - mean) * rstd;
    if constexpr (kWeight) value *= w[i];
    if constexpr (kBias) value += b[i];
    put(y[i], value);
  }
}

struct NormCall {
  const TensorView &x, &w, &b, &y;
  const TensorView *mean, *sum;  // layer norm has the first, CRMS norm the second, RMS norm none
  const TensorView& rstd;
  double eps;
};

float& at_row(const TensorView& statistic, int64_t row) {
  return statistic.as<float>()[row * statistic.stride[0]];
}

template <class T>
void forward_rows(const NormCall& c, const float* w, const float* b, Range rows) {
  const int64_t width = c.x.shape[1];
  const auto channels = static_cast<float>(width);
  for (int64_t n = rows.begin; n < rows.end; ++n) {
    const T* x = row_of<T>(c.x, n);
    T* y = row_of<T>(c.y, n);
    const float sum = c.mean || c.sum ? sum_of(x, width) : 0.0f;
    const float mean = c.mean ? sum / channels : 0.0f;
    float square = mean_square_of(x, mean, width);
    if (c.sum) square = (square * channels + sum * sum) / (channels + 1.0f);
    const auto rstd = static_cast<float>(1.0 / std::sqrt(square + c.eps));
    if (c.mean) at_row(*c.mean, n) = mean;
    if (c.sum) at_row(*c.sum, n) = sum;
    at_row(c.rstd, n) = rstd;
    if (w && b)
      write_row<true, true>(x, mean, rstd, w, b, y, width);
    else if (w)
      write_row<true, false>(x, mean, rstd, w, b, y, width);
    else if (b)
      write_row<false, true>(x, mean, rstd, w, b, y, width);
    else
      write_row<false, false>(x, mean, rstd, w, b, y, width);
  }
}

void forward(const NormCall& c) {
  const int64_t width = c.x.shape[1];
  const Scratch scratch(width, 2);
  const float* w = floats_of(c.w, width, scratch.of_thread(0));
  const float* b = floats_of(c.b, width, scratch.of_thread(1));
  with_type(c.x.dtype, [&](auto t) {
    parallel_ranges(c.x.shape[0], row_grain(width, kGrain),
                    [&](Range rows, int) { forward_rows<decltype(t)>(c, w, b, rows); });
  });
}

}  // namespace

void rms_norm(const TensorView& x, const TensorView& w, const TensorView& b, const TensorView& y,
              const TensorView& rstd, double eps) {
  forward({x, w, b, y, nullptr, nullptr, rstd, eps});
}

void layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, const TensorView& y,
                const TensorView& mean, const TensorView& rstd, double eps) {
  forward({x, w, b, y, &mean, nullptr, rstd, eps});
}

void crms_norm(const TensorView& x, const TensorView& w, const TensorView& b, const TensorView& y,
               const TensorView& sum, const TensorView& rstd, double eps) {
  forward({x, w, b, y, nullptr, &sum, rstd, eps});
}

namespace {

struct BackwardCall {
  const TensorView &x, &w;
  const TensorView *mean, *sum;
  const TensorView &rstd, &dy;
  const Kernels::LayerGradients& out;
};

struct RowSums {
  float g = 0, gn = 0;  // of g = dy·w, and of g times the normalised x
};

template <class T>
RowSums row_sums(const T* x, const T* dy, float mean, float rstd, const float* w, int64_t n) {
  float sum_g = 0, sum_gn = 0;
#pragma omp simd reduction(+ : sum_g, sum_gn)
  for (int64_t i = 0; i < n; ++i) {
    const float g = to_float(dy[i]) * w[i];
    sum_g += g;
    sum_gn += g * ((to_float(x[i]) - mean) * rstd);
  }
  return {sum_g, sum_gn};
}

// dx = rstd·(g - shift - n·slope), see ref/norm.cc.
struct RowLine {
  float shift = 0, slope = 0;
};

RowLine line_of(const BackwardCall& c, int64_t row, RowSums sums) {
  const auto channels = static_cast<float>(c.x.shape[1]);
  if (c.mean) return {sums.g / channels, sums.gn / channels};
  if (!c.sum) return {0.0f, sums.gn / channels};
  const float slope = sums.gn / (channels + 1.0f);
  return {at_row(*c.sum, row) * at_row(c.rstd, row) * slope, slope};
}

template <Write kWrite, class T>
void backward_row(const T* x, const T* dy, float mean, float rstd, const float* w, RowLine line,
                  T* dx, float* dw, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float normalised = (to_float(x[i]) - mean) * rstd, upstream = to_float(dy[i]);
    dw[i] += upstream * normalised;
    const float value = rstd * (upstream * w[i] - line.shift - normalised * line.slope);
    put(dx[i], kWrite == Write::kAccumulate ? to_float(dx[i]) + value : value);
  }
}

template <class T>
void add_row(const T* dy, float* db, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) db[i] += to_float(dy[i]);
}

template <class T>
void backward_rows(const BackwardCall& c, const float* w, float* dw, float* db, Range rows) {
  const int64_t width = c.x.shape[1];
  for (int64_t n = rows.begin; n < rows.end; ++n) {
    const T *x = row_of<T>(c.x, n), *dy = row_of<T>(c.dy, n);
    T* dx = row_of<T>(c.out.dx, n);
    const float mean = c.mean ? at_row(*c.mean, n) : 0.0f;
    const float rstd = at_row(c.rstd, n);
    const RowLine line = line_of(c, n, row_sums(x, dy, mean, rstd, w, width));
    if (c.out.write_dx == Write::kAccumulate)
      backward_row<Write::kAccumulate>(x, dy, mean, rstd, w, line, dx, dw, width);
    else
      backward_row<Write::kOverwrite>(x, dy, mean, rstd, w, line, dx, dw, width);
    if (c.out.db) add_row(dy, db, width);
  }
}

// to (=|+=) the sum over threads of what lies at `offset` of their scratch.
void add_threads(const Scratch& scratch, int threads, int64_t offset, const TensorView& to,
                 Write write) {
  if (!to) return;
  float* sum = scratch.of_thread(0) + offset;
  const int64_t n = to.shape[0];
  for (int thread = 1; thread < threads; ++thread) {
    const float* part = scratch.of_thread(thread) + offset;
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) sum[i] += part[i];
  }
  float* out = to.as<float>();
  if (write == Write::kAccumulate) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) out[i] += sum[i];
  } else {
    std::copy(sum, sum + n, out);
  }
}

void backward(const BackwardCall& c) {
  const int64_t width = c.x.shape[1];
  const int threads = thread_count();
  const Scratch sums(2 * width, threads);
  const Scratch weight(width, 1);
  for (int thread = 0; thread < threads; ++thread)
    std::fill_n(sums.of_thread(thread), 2 * width, 0.0f);
  const float* w = floats_of(c.w, width, weight.of_thread(0));
  if (!w) {
    std::fill_n(weight.of_thread(0), width, 1.0f);
    w = weight.of_thread(0);
  }
  with_type(c.x.dtype, [&](auto t) {
    parallel_ranges(c.x.shape[0], row_grain(width, kGrain), [&](Range rows, int thread) {
      float* dw = sums.of_thread(thread);
      backward_rows<decltype(t)>(c, w, dw, dw + width, rows);
    });
  });
  add_threads(sums, threads, 0, c.out.dw, c.out.write_dw);
  add_threads(sums, threads, width, c.out.db, c.out.write_db);
}

}  // namespace

void rms_norm_backward(const TensorView& x, const TensorView& w, const TensorView& rstd,
                       const TensorView& dy, const Kernels::LayerGradients& out) {
  backward({x, w, nullptr, nullptr, rstd, dy, out});
}

void layer_norm_backward(const TensorView& x, const TensorView& w, const TensorView& mean,
                         const TensorView& rstd, const TensorView& dy,
                         const Kernels::LayerGradients& out) {
  backward({x, w, &mean, nullptr, rstd, dy, out});
}

void crms_norm_backward(const TensorView& x, const TensorView& w, const TensorView& sum,
                        const TensorView& rstd, const TensorView& dy,
                        const Kernels::LayerGradients& out) {
  backward({x, w, nullptr, &sum, rstd, dy, out});
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
