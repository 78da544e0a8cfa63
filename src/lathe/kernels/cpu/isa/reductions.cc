// Sums in an order that depends on shapes alone.
#include <algorithm>
#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/loops.h"
namespace {

constexpr int64_t kColumns = 512;  // summed at a time: one row of them stays in registers and L1
constexpr int64_t kRows = 256;     // per partial sum, so that long columns keep their precision

template <class X>
void sum_columns(const TensorView& x, int64_t begin, int64_t n, float* sum) {
  float part[kColumns];
  std::fill_n(sum, n, 0.0f);
  for (int64_t block = 0; block < x.shape[0]; block += kRows) {
    const int64_t end = std::min(x.shape[0], block + kRows);
    std::fill_n(part, n, 0.0f);
    for (int64_t row = block; row < end; ++row) {
      const X* from = row_of<X>(x, row) + begin;
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) part[i] += to_float(from[i]);
    }
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) sum[i] += part[i];
  }
}

}  // namespace

// Threads own columns, in units of one cache line of bf16.
void sum_rows(const TensorView& x, const TensorView& out, Write write) {
  constexpr int64_t kUnit = 32;
  const int64_t width = x.shape[1], units = (width + kUnit - 1) / kUnit;
  const int64_t grain = row_grain(x.shape[0] * kUnit, kGrain);
  parallel_ranges(units, grain, [&](Range r, int) {
    float sum[kColumns];
    const int64_t end = std::min(width, r.end * kUnit);
    for (int64_t begin = r.begin * kUnit; begin < end; begin += kColumns) {
      const int64_t n = std::min(kColumns, end - begin);
      with_type(x.dtype, [&](auto t) { sum_columns<decltype(t)>(x, begin, n, sum); });
      with_type(out.dtype, [&](auto t) {
        auto* to = out.as<decltype(t)>() + begin;
        for (int64_t i = 0; i < n; ++i)
          put(to[i], write == Write::kAccumulate ? to_float(to[i]) + sum[i] : sum[i]);
      });
    }
  });
}

namespace {

template <class X>
double squares_of(const X* x, int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) {
    const double value = to_float(x[i]);
    sum += value * value;
  }
  return sum;
}

}  // namespace

// One double per block of fixed size, added in order: the same bits for any number of threads.
double sum_squares(const TensorView& x) {
  constexpr int64_t kBlock = 65536;
  const int64_t n = x.numel(), blocks = (n + kBlock - 1) / kBlock;
  std::vector<double> sums(static_cast<size_t>(blocks));
  parallel_for(blocks, 1, [&](int64_t block) {
    const int64_t begin = block * kBlock, size = std::min(kBlock, n - begin);
    with_type(x.dtype, [&](auto t) {
      sums[static_cast<size_t>(block)] = squares_of(x.as<decltype(t)>() + begin, size);
    });
  });
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
