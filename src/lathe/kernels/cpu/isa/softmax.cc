// Softmax of short rows (router scores): maximum, exponentials and sum in f32, the logarithm in
// double.
#include <algorithm>
#include <cmath>
#include <limits>

#include "lathe/base/parallel.h"
#include "lathe/kernels/activation/math.h"
#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/loops.h"
namespace {

// Returns log(sum(exp(x))). The second pass computes each exponential again rather than read back
// what the first rounded to T.
template <class T>
double softmax_run(const T* x, T* y, int64_t n) {
  float max = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : max)
  for (int64_t i = 0; i < n; ++i) max = to_float(x[i]) > max ? to_float(x[i]) : max;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += math::exp_nonpositive(to_float(x[i]) - max);
  const float inverse = 1.0f / sum;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) put(y[i], math::exp_nonpositive(to_float(x[i]) - max) * inverse);
  return max + std::log(static_cast<double>(sum));
}

}  // namespace

void softmax(const TensorView& x, const TensorView& y, const TensorView& lse) {
  const int64_t width = y.shape[1];
  with_type(x.dtype, [&](auto t) {
    using T = decltype(t);
    parallel_for(y.shape[0], row_grain(width, kHeavyGrain), [&](int64_t n) {
      const double log_sum = softmax_run<T>(row_of<T>(x, n), row_of<T>(y, n), width);
      if (lse) lse.as<float>()[n * lse.stride[0]] = static_cast<float>(log_sum);
    });
  });
}

namespace {

template <class T>
void softmax_backward_run(const T* y, const T* dy, T* dx, int64_t n) {
  float mean = 0;
#pragma omp simd reduction(+ : mean)
  for (int64_t i = 0; i < n; ++i) mean += to_float(y[i]) * to_float(dy[i]);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) put(dx[i], to_float(y[i]) * (to_float(dy[i]) - mean));
}

}  // namespace

void softmax_backward(const TensorView& y, const TensorView& dy, const TensorView& dx) {
  const int64_t width = y.shape[1];
  with_type(y.dtype, [&](auto t) {
    using T = decltype(t);
    parallel_for(y.shape[0], row_grain(width, kGrain), [&](int64_t n) {
      softmax_backward_run<T>(row_of<T>(y, n), row_of<T>(dy, n), row_of<T>(dx, n), width);
    });
  });
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
