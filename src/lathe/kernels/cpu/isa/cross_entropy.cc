// Rows of up to 150,000 logits, read twice: once for the log-sum-exp, once for the gradient.
//
// The first pass goes by blocks that stay in L1: a block's maximum, then its sum of exponentials; a
// new maximum rescales what was summed before (Milakov & Gimelshein 2018, arXiv:1805.02867). Sums
// within a block are f32 per vector lane, across blocks double.
#include <algorithm>
#include <cmath>
#include <limits>

#include "lathe/base/parallel.h"
#include "lathe/kernels/activation/math.h"
#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/blocks.h"
namespace {

constexpr int64_t kBlock = 2048;

template <class T>
float max_of(const T* x, int64_t n) {
  float max = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : max)
  for (int64_t i = 0; i < n; ++i) max = to_float(x[i]) > max ? to_float(x[i]) : max;
  return max;
}

template <class T>
float sum_exp(const T* x, float max, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += math::exp_nonpositive(to_float(x[i]) - max);
  return sum;
}

template <class T>
double log_sum_exp(const T* x, int64_t n) {
  float max = -std::numeric_limits<float>::infinity();
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t size = std::min(kBlock, n - begin);
    const float block_max = max_of(x + begin, size);
    if (block_max > max) {
      if (sum > 0) sum *= std::exp(static_cast<double>(max) - block_max);
      max = block_max;
    }
    // Nothing but -inf (or NaN, which must not get lost) so far: the maximum cannot be subtracted.
    const bool none = max == -std::numeric_limits<float>::infinity();
    if (none) {
      for (int64_t i = begin; i < begin + size; ++i)
        if (std::isnan(to_float(x[i]))) sum = to_float(x[i]);
      continue;
    }
    sum += sum_exp(x + begin, max, size);
  }
  return max + std::log(sum);
}

// exp(x - lse) with lse in two floats, since rounding it to one would shift every probability by
// its rounding error (4e-6 for lse about 50).
template <class T, class O>
void gradient_run(const T* x, double lse, float factor, O* out, int64_t n) {
  const auto high = static_cast<float>(lse);
  const auto low = static_cast<float>(lse - high);
  const auto loop = [=](const float* from, float* to, int64_t size) {
#pragma omp simd
    for (int64_t i = 0; i < size; ++i)
      to[i] = factor * math::exp_nonpositive((from[i] - high) - low);
  };
  as_floats(n, loop, read(x), write(out));
}

template <class T, class O>
void row(const T* x, int64_t label, int64_t n, float* loss, O* dx, float factor) {
  if (label < 0) {
    *loss = 0;
    if (dx) std::fill_n(dx, n, O{});
    return;
  }
  const double lse = log_sum_exp(x, n);
  const float target = to_float(x[label]);
  *loss = static_cast<float>(lse - target);
  if (!dx) return;
  const auto at_label = factor * static_cast<float>(std::expm1(target - lse));
  gradient_run(x, lse, factor, dx, n);
  put(dx[label], at_label);
}

}  // namespace

void cross_entropy(const TensorView& logits, const TensorView& labels, const TensorView& losses,
                   const TensorView& dlogits, double grad_scale) {
  const int64_t vocab = logits.shape[1];
  with_type(logits.dtype, [&](auto t) {
    with_type(dlogits.dtype, [&](auto o) {
      using T = decltype(t);
      using O = decltype(o);
      parallel_for(logits.shape[0], row_grain(vocab, kHeavyGrain), [&](int64_t n) {
        const int64_t label = labels.as<int32_t>()[n * labels.stride[0]];
        row<T, O>(row_of<T>(logits, n), label, vocab, losses.as<float>() + n * losses.stride[0],
                  dlogits ? row_of<O>(dlogits, n) : nullptr, static_cast<float>(grad_scale));
      });
    });
  });
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
