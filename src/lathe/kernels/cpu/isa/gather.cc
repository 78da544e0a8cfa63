// Rows by index. Each output row is owned by one thread, and what is added to it comes in the order
// of its list, so that nothing depends on the thread count.
#include <algorithm>

#include "lathe/base/parallel.h"
#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/loops.h"
namespace {

LATHE_INLINE int32_t index_at(const TensorView& t, int64_t i) {
  return t.as<int32_t>()[i * t.stride[0]];
}
LATHE_INLINE float scale_at(const TensorView& scales, int64_t i) {
  return scales ? scales.as<float>()[i * scales.stride[0]] : 1.0f;
}

template <class X, class O>
void scaled_run(const X* x, float scale, O* out, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) put(out[i], scale * to_float(x[i]));
}

}  // namespace

void gather_rows(const TensorView& x, const TensorView& rows, const TensorView& scales,
                 const TensorView& out) {
  const int64_t width = out.shape[1];
  with_type(x.dtype, [&](auto tx) {
    with_type(out.dtype, [&](auto to) {
      using X = decltype(tx);
      using O = decltype(to);
      parallel_for(out.shape[0], row_grain(width, kGrain), [&](int64_t r) {
        const int64_t from = index_at(rows, r);
        if (from < 0)
          std::fill_n(row_of<O>(out, r), width, O{});
        else
          scaled_run<X, O>(row_of<X>(x, from), scale_at(scales, r), row_of<O>(out, r), width);
      });
    });
  });
}

namespace {

constexpr int64_t kColumns = 512;  // summed at a time, in f32, before they are rounded

template <class X>
void add_scaled(const X* x, float scale, float* sum, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) sum[i] += scale * to_float(x[i]);
}

template <class O>
void put_sum(const float* sum, O* out, int64_t n, Write write) {
  if (write == Write::kAccumulate) {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) put(out[i], to_float(out[i]) + sum[i]);
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) put(out[i], sum[i]);
  }
}

}  // namespace

void gather_sum(const TensorView& x, const Kernels::RowLists& lists, const TensorView& scales,
                const TensorView& out, Write write) {
  const int64_t width = out.shape[1];
  with_type(x.dtype, [&](auto tx) {
    with_type(out.dtype, [&](auto to) {
      using X = decltype(tx);
      using O = decltype(to);
      parallel_for(out.shape[0], row_grain(width, kGrain), [&](int64_t n) {
        float sum[kColumns];
        const int64_t first = index_at(lists.begin, n), last = index_at(lists.begin, n + 1);
        for (int64_t begin = 0; begin < width; begin += kColumns) {
          const int64_t size = std::min(kColumns, width - begin);
          std::fill_n(sum, size, 0.0f);
          for (int64_t j = first; j < last; ++j) {
            const int64_t r = index_at(lists.index, j);
            add_scaled<X>(row_of<X>(x, r) + begin, scale_at(scales, r), sum, size);
          }
          put_sum<O>(sum, row_of<O>(out, n) + begin, size, write);
        }
      });
    });
  });
}

namespace {

template <class A, class B>
float dot_run(const A* a, const B* b, int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += to_float(a[i]) * to_float(b[i]);
  return sum;
}

}  // namespace

void gather_dot(const TensorView& a, const TensorView& b, const TensorView& rows,
                const TensorView& out) {
  const int64_t width = a.shape[1];
  with_type(a.dtype, [&](auto ta) {
    with_type(b.dtype, [&](auto tb) {
      using A = decltype(ta);
      using B = decltype(tb);
      parallel_for(out.shape[0], row_grain(width, kGrain), [&](int64_t r) {
        const int64_t at = index_at(rows, r);
        out.as<float>()[r * out.stride[0]] =
            at < 0 ? 0.0f : dot_run<A, B>(row_of<A>(a, r), row_of<B>(b, at), width);
      });
    });
  });
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
