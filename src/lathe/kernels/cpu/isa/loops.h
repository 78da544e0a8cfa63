// The common part of the loops in this folder: element access, dtype dispatch, and the iteration
// over strided operands as contiguous runs. Include inside the level.h frame, after the namespace
// is opened.
//
// Loops are plain C++ under `#pragma omp simd`; the compiler makes vectors of the level's width of
// them. The pragma also promises that iterations are independent, which holds in place too: every
// iteration reads its own elements before it writes them.
#pragma once

#define LATHE_INLINE [[gnu::always_inline]] static inline

// Below this many elements of a cheap loop, waking a thread costs more than it saves.
constexpr int64_t kGrain = 16384;
// The same for loops with an exponential or a division per element.
constexpr int64_t kHeavyGrain = 4096;

LATHE_INLINE void put(float& to, float value) { to = value; }
LATHE_INLINE void put(BF16& to, float value) { to = to_bf16(value); }

// f(T{}) with the element type of a plain view.
template <class F>
LATHE_INLINE void with_type(DType dtype, F&& f) {
  if (dtype == DType::kBF16)
    f(BF16{});
  else
    f(float{});
}

template <class T>
LATHE_INLINE T* row_of(const TensorView& t, int64_t row) {
  return t.as<T>() + row * t.stride[0];
}

// The fewest rows worth a thread when one costs `width` elements.
LATHE_INLINE int64_t row_grain(int64_t width, int64_t grain) {
  return std::max<int64_t>(1, grain / std::max<int64_t>(1, width));
}

// Calls f(offsets, n) for runs of n elements at offsets[k] in views[k], in parallel. The views have
// equal shapes; trailing dimensions without gaps in all of them become one run.
template <int K, class F>
static void for_each_run(const TensorView* const (&views)[K], int64_t grain, F&& f) {
  const TensorView& shape = *views[0];
  int outer = shape.rank;
  int64_t width = 1;
  for (; outer > 0; --outer) {
    bool joins = true;
    for (int k = 0; k < K; ++k) joins = joins && views[k]->stride[outer - 1] == width;
    if (!joins && shape.shape[outer - 1] != 1) break;
    width *= shape.shape[outer - 1];
  }
  int64_t rows = 1;
  for (int dim = 0; dim < outer; ++dim) rows *= shape.shape[dim];
  if (rows == 1)
    return parallel_ranges(width, grain, [&](Range r, int) {
      int64_t at[K];
      for (int k = 0; k < K; ++k) at[k] = r.begin;
      f(at, r.size());
    });
  if (width == 0) return;
  parallel_for(rows, row_grain(width, grain), [&](int64_t row) {
    int64_t at[K] = {};
    for (int dim = outer - 1; dim >= 0; --dim) {
      const int64_t i = row % shape.shape[dim];
      row /= shape.shape[dim];
      for (int k = 0; k < K; ++k) at[k] += i * views[k]->stride[dim];
    }
    f(at, width);
  });
}

// A weight or bias as floats: its own memory if it is f32, else converted into `scratch`; null if
// absent.
LATHE_INLINE const float* floats_of(const TensorView& t, int64_t n, float* scratch) {
  if (!t) return nullptr;
  if (t.dtype == DType::kF32) return t.as<float>();
  const BF16* from = t.as<BF16>();
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) scratch[i] = to_float(from[i]);
  return scratch;
}
