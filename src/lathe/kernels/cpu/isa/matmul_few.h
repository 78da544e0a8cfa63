// Products of few rows, y[M,N] (=|+=) x[M,K] · w[N,K]ᵀ + bias: decoding. The weights are read once,
// in place, and everything else is small, so the speed is that of memory. Include inside the level.h
// frame.
//
// Every element is summed over K in order in one lane, as where there are many rows (matmul.cc), so
// that a row has the same bits in every product. Lanes are columns, which lie across the rows of w:
// squares of kWidth rows by kWidth words are transposed in registers.
#pragma once

#include "lathe/kernels/cpu/isa/matmul_pack.h"

struct Product {
  TensorView a, b, c;
  const float* bias;  // f32 [N], or nullptr
  bool accumulate;
  int64_t m, n, depth;  // depth: K in operands
};

// What A and B are multiplied as: bf16 beside f32 is widened.
template <class A, class B>
using OperandOf = std::conditional_t<std::is_same_v<A, B>, Operand<A>, float>;

// With more rows the squares are better packed and read by several tiles (matmul.cc). (LOG.md)
constexpr int64_t kMostFew = 4;
constexpr int kFewVectors = 2;  // squares side by side
constexpr int64_t kFewColumns = kFewVectors * kWidth;
constexpr int64_t kFetchAhead = 8 * 64;  // bytes along a row of w
// Values along K of a word of w, and of a square.
template <class B>
constexpr int64_t kPerWord = static_cast<int64_t>(sizeof(float) / sizeof(B));
template <class B>
constexpr int64_t kPerSquare = kWidth* kPerWord<B>;

// A square of words: vector i has the words of column i, or once transposed word i of all columns.
struct Square {
  Vec words[kWidth];
};

// sum[r] += the square times `a`, the operands of row r beginning at a + r · stride.
template <int R, class B>
LATHE_INLINE void add_square(const Square& s, const float* a, int64_t stride, Vec (&sum)[R]) {
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) {
    if constexpr (std::is_same_v<B, float>) {
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sum[r] = add_product(sum[r], a[r * stride + i], s.words[i]);
    } else {
      const Words pair = (Words)s.words[i];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        sum[r] = add_product(sum[r], a[r * stride + 2 * i], (Vec)(pair << 16));
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
        sum[r] = add_product(sum[r], a[r * stride + 2 * i + 1], (Vec)(pair & 0xFFFF0000u));
    }
  }
}
template <int R, class B>
LATHE_INLINE void add_square(const Square& s, const Pair* a, int64_t stride, Vec (&sum)[R]) {
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i)
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) sum[r] = add_product(sum[r], a[r * stride + i], (Words)s.words[i]);
}

// kWidth columns of w. Columns beyond the last read the last one; nobody writes them.
template <class B>
struct FewColumns {
  const B* first;
  int64_t stride, last;

  const B* at(int64_t column, int64_t k) const {
    return first + std::min(column, last) * stride + k;
  }
  Square transposed(int64_t k) const {
    Square s;
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) __builtin_memcpy(&s.words[i], at(i, k), sizeof(Vec));
    transpose(s.words);
    return s;
  }
};

// Some columns of row m of C (=|+=) sums + bias.
template <class C>
static void put_run(const Product& p, int64_t m, Range columns, const float* sums) {
  C* c = p.c.as<C>() + m * p.c.stride[0] + columns.begin;
  const float* bias = p.bias != nullptr ? p.bias + columns.begin : nullptr;
  int64_t i = 0;
  for (; i + kWidth <= columns.size(); i += kWidth) {
    Vec value = load(sums + i);
    if (bias != nullptr) value += load(bias + i);
    if (p.accumulate) value += load(c + i);
    store(c + i, value);
  }
  for (; i < columns.size(); ++i) {
    float value = sums[i];
    if (bias != nullptr) value += bias[i];
    if (p.accumulate) value += to_float(c[i]);
    put(c[i], value);
  }
}

// The columns from n on of the first R rows of C.
template <class C, int R>
static void put_columns(const Product& p, int64_t n, const Vec (&sum)[R]) {
  float run[kWidth];
  for (int r = 0; r < R; ++r) {
    store(run, sum[r]);
    put_run<C>(p, r, {n, std::min(n + kWidth, p.n)}, run);
  }
}

// The columns from n on for the R rows of x, whose operands begin at `a`.
template <int R, class A, class B, class C>
static void few_columns(const Product& p, int64_t n, const OperandOf<A, B>* a) {
  using E = OperandOf<A, B>;
  const int64_t values = p.b.shape[0], stride = p.b.stride[1];
  FewColumns<B> columns[kFewVectors];
  for (int v = 0; v < kFewVectors; ++v) {
    const int64_t begin = std::min(n + v * kWidth, p.n - 1);
    columns[v] = {p.b.as<B>() + begin * stride, stride, std::min<int64_t>(kWidth, p.n - begin) - 1};
  }
  Vec sum[kFewVectors][R] = {};
  constexpr int64_t kStep = kPerSquare<B>, kFetch = kFetchAhead / int64_t{sizeof(B)};
  int64_t k = 0;
  for (; k + kStep <= values; k += kStep) {
    // What comes next along K, and at its end in the columns that come next.
    const int64_t ahead =
        k + kFetch < values ? k + kFetch : k + kFetch - values + kFewColumns * stride;
#pragma GCC unroll 2
    for (int v = 0; v < kFewVectors; ++v) {
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i)
        __builtin_prefetch(columns[v].first + i * stride + ahead, 0, 2);
      add_square<R, B>(columns[v].transposed(k), a + k / kValues<E>, p.depth, sum[v]);
    }
  }
  for (; k < values; k += kValues<E>)
    for (int v = 0; v < kFewVectors; ++v) {
      E row[kWidth];
      for (int i = 0; i < kWidth; ++i) {
        const B* from = columns[v].at(i, k);
        convert_across(from, k + 1 < values ? from + 1 : nullptr, 1, row + i);
      }
      for (int r = 0; r < R; ++r)
        sum[v][r] = add_product(sum[v][r], a[r * p.depth + k / kValues<E>], load(row));
    }
  for (int v = 0; v < kFewVectors; ++v) put_columns<C>(p, n + v * kWidth, sum[v]);
}

// At most kMostFew rows.
template <class A, class B, class C>
static void multiply_few(const Product& p) {
  using E = OperandOf<A, B>;
  const Scratch operands(p.m * p.depth, 1);
  E* a = as_operands<E>(operands.of_thread(0));
  for (int64_t m = 0; m < p.m; ++m)
    convert_along(p.a.as<A>() + m * p.a.stride[0], p.a.shape[1], a + m * p.depth);
  const int64_t units = (p.n + kFewColumns - 1) / kFewColumns;
  // Units worth a thread: a dot product of a thousand elements takes 50 ns.
  const int64_t grain = row_grain(kFewColumns * p.m * p.a.shape[1], 65536);
  const auto multiply = [&](auto rows) {
    parallel_for(units, grain, [&](int64_t unit) {
      few_columns<decltype(rows)::value, A, B, C>(p, unit * kFewColumns, a);
    });
  };
  switch (p.m) {
    case 1:
      return multiply(std::integral_constant<int, 1>());
    case 2:
      return multiply(std::integral_constant<int, 2>());
    case 3:
      return multiply(std::integral_constant<int, 3>());
    default:
      return multiply(std::integral_constant<int, 4>());
  }
}
