// y[M,N] (=|+=) x[M,K] · w[N,K]ᵀ + bias for few rows: decoding. The weights are read once, in
// place, and everything else is small, so the speed is that of memory. Include inside the level.h
// frame, after loops.h and matmul_pack.h.
#pragma once

constexpr int kDotRows = 4;               // rows of x that share one pass over a row of w
constexpr int64_t kDotStep = 2 * kWidth;  // elements of w that one step of a dot product takes
constexpr int64_t kPrefetchAhead = 1024;  // bytes; measured best on Zen 2 (512 to 8192)

// Outputs worth a thread: a dot product of a thousand elements takes 50 ns.
LATHE_INLINE int64_t output_grain(int64_t rows, int64_t depth) {
  return std::max<int64_t>(1, 65536 / std::max<int64_t>(1, rows * depth));
}

// kDotStep weights as two vectors. Those of bf16 are the even and the odd elements, because that
// costs a shift and a mask where widening in order costs a shuffle more; spread_row() lays x out to
// match.
struct StepOfWeights {
  Vec first, second;
};
LATHE_INLINE StepOfWeights load_step(const float* w) { return {load(w), load(w + kWidth)}; }
LATHE_INLINE StepOfWeights load_step(const BF16* w) {
  Words pairs;
  __builtin_memcpy(&pairs, w, sizeof(pairs));
  return {(Vec)(pairs << 16), (Vec)(pairs & 0xFFFF0000u)};
}

// `from` in the order in which load_step() gives weights of type W.
template <class W, class T>
static void spread_row(const T* from, int64_t depth, float* to) {
  int64_t k = 0;
  if constexpr (std::is_same_v<W, BF16>)
    for (; k + kDotStep <= depth; k += kDotStep)
      for (int64_t i = 0; i < kWidth; ++i) {
        to[k + i] = to_float(from[k + 2 * i]);
        to[k + kWidth + i] = to_float(from[k + 2 * i + 1]);
      }
  convert_run(from + k, to + k, depth - k);
}

struct DotCall {
  const float* x;  // [rows][depth], as spread_row() lays it out
  int64_t depth;
  TensorView w;  // [K,N], contiguous along K
  const float* bias;
  TensorView y;
  bool accumulate;
};

// R rows of x, from `m` on, against output n. Rows of w are contiguous, so prefetching beyond one
// also fetches the next.
template <int R, class T, class Out>
LATHE_INLINE void dots(const DotCall& c, int64_t m, int64_t n) {
  const float* x = c.x + m * c.depth;
  const T* w = c.w.as<T>() + n * c.w.stride[1];
  Vec even[R] = {}, odd[R] = {};
  int64_t k = 0;
  for (; k + kDotStep <= c.depth; k += kDotStep) {
    __builtin_prefetch(reinterpret_cast<const char*>(w + k) + kPrefetchAhead, 0, 0);
    const StepOfWeights step = load_step(w + k);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      even[r] += load(x + r * c.depth + k) * step.first;
      odd[r] += load(x + r * c.depth + k + kWidth) * step.second;
    }
  }
  for (int r = 0; r < R; ++r) {
    Out& y = c.y.as<Out>()[(m + r) * c.y.stride[0] + n];
    float total = sum_of(even[r] + odd[r]);
    for (int64_t i = k; i < c.depth; ++i) total += x[r * c.depth + i] * to_float(w[i]);
    if (c.bias) total += c.bias[n];
    if (c.accumulate) total += to_float(y);
    put(y, total);
  }
}

template <class A, class B, class Out>
static void matvec(const TensorView& a, const TensorView& b, const float* bias, const TensorView& c,
                   Write write) {
  const int64_t rows = a.shape[0], depth = a.shape[1];
  const Scratch wide(rows * depth, 1);
  float* x = wide.of_thread(0);
  for (int64_t m = 0; m < rows; ++m)
    spread_row<B>(a.as<A>() + m * a.stride[0], depth, x + m * depth);
  const DotCall call{x, depth, b, bias, c, write == Write::kAccumulate};
  parallel_ranges(c.shape[1], output_grain(rows, depth), [&](Range mine, int) {
    for (int64_t n = mine.begin; n < mine.end; ++n) {
      int64_t m = 0;
      for (; m + kDotRows <= rows; m += kDotRows) dots<kDotRows, B, Out>(call, m, n);
      for (; m < rows; ++m) dots<1, B, Out>(call, m, n);
    }
  });
}
