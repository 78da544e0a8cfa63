// Products of some tens of rows of bf16 pairs, y[M,N] (=|+=) x[M,K] · w[N,K]ᵀ + bias: decoding many
// sequences at once. Packing the weights would be a fifth of such a product, so they are read once,
// in place, and x is packed instead: lanes are rows of x, and pairs of w are broadcast. In f32,
// whose weights take twice the memory, nothing is gained (LOG.md). Include inside the level.h frame.
//
// Every element is summed over K in order in one lane, as where there are fewer and more rows
// (matmul.cc), so that a row has the same bits in every product.
#pragma once

#include "lathe/kernels/cpu/isa/matmul_few.h"

constexpr int64_t kMostTens = 128;
// Columns of y that a unit computes at most, and the length of a row of its sums: those of a tile
// are stored as whole vectors, whose rest the next tile overwrites.
constexpr int64_t kTensColumns = 4 * kPanelRows, kSumRow = kTensColumns + kWidth;

// kPanelRows rows of w, each of `values` values.
struct WeightRows {
  const BF16* first;
  int64_t stride, values;
};

// The rows from n on; where there are fewer they are in `copy`, and zeros behind them.
LATHE_INLINE WeightRows weight_rows(const Product& p, int64_t n, BF16* copy) {
  const int64_t rows = p.n - n, values = p.b.shape[0], stride = p.b.stride[1];
  const BF16* first = p.b.as<BF16>() + n * stride;
  if (rows >= kPanelRows) return {first, stride, values};
  for (int64_t r = 0; r < rows; ++r) std::copy_n(first + r * stride, values, copy + r * values);
  std::fill(copy + rows * values, copy + kPanelRows * values, BF16{});
  return {copy, values, values};
}

// sum[r][v] += the pair that begins at value k of row r times V · kWidth rows of x.
template <int V>
LATHE_INLINE void add_pair(const WeightRows& w, int64_t k, const Pair* x,
                           Vec (&sum)[kPanelRows][V]) {
  Words rows[V];
#pragma GCC unroll 2
  for (int v = 0; v < V; ++v) rows[v] = load(x + v * kWidth);
  // Three rows from each of a few addresses: so they are found without an addition each.
  constexpr int kTogether = 3;
  static_assert(kPanelRows % kTogether == 0);
#pragma GCC unroll 4
  for (int g = 0; g < kPanelRows; g += kTogether) {
    const BF16* from = w.first + g * w.stride + k;
#pragma GCC unroll 3
    for (int r = 0; r < kTogether; ++r) {
      Pair pair;
      __builtin_memcpy(&pair, from + r * w.stride, sizeof(pair));
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[g + r][v] = add_product(sum[g + r][v], pair, rows[v]);
    }
  }
}

// A tile's sums, transposed, as rows of `to`.
template <int V>
LATHE_INLINE void put_transposed(const Vec (&sum)[kPanelRows][V], float* to) {
#pragma GCC unroll 2
  for (int v = 0; v < V; ++v)
#pragma GCC unroll 2
    for (int r = 0; r < kPanelRows; r += kWidth) {
      Vec square[kWidth] = {};
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i)
        if (r + i < kPanelRows) square[i] = sum[r + i][v];
      transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) store(to + (v * kWidth + i) * kSumRow + r, square[i]);
    }
}

// V · kWidth rows of x, in the panel `x`, times rows of w.
template <int V>
static void multiply_tile(const WeightRows& w, const Pair* x, float* to) {
  constexpr int64_t kLine = 64 / sizeof(BF16);
  const int64_t whole = w.values / 2 * 2;
  Vec sum[kPanelRows][V] = {};
  int64_t k = 0;
  for (; k + kLine <= whole; k += kLine) {
#pragma GCC unroll 12
    for (int r = 0; r < kPanelRows; ++r)  // what the next tile reads here
      __builtin_prefetch(w.first + (kPanelRows + r) * w.stride + k, 0, 2);
    for (int64_t i = k; i < k + kLine; i += 2, x += kPanelColumns) add_pair(w, i, x, sum);
  }
  for (; k < whole; k += 2, x += kPanelColumns) add_pair(w, k, x, sum);
  if (k < w.values) {  // the last value has no other to make a pair with
    BF16 last[kPanelRows][2] = {};
    for (int r = 0; r < kPanelRows; ++r) last[r][0] = w.first[r * w.stride + k];
    add_pair({last[0], 2, 2}, 0, x, sum);
  }
  put_transposed(sum, to);
}

// Columns of C for all rows; `x` are the panels of x, `copy` has room for kPanelRows rows of w.
template <class C>
static void compute_columns(const Product& p, Range columns, const Pair* x, BF16* copy,
                            float* sums) {
  for (int64_t m = 0; m < p.m; m += kPanelColumns) {
    const Range rows{m, std::min(m + kPanelColumns, p.m)};
    for (int64_t n = columns.begin; n < columns.end; n += kPanelRows) {
      const WeightRows w = weight_rows(p, n, copy);
      if (rows.size() <= kWidth)
        multiply_tile<1>(w, x + m * p.depth, sums + n - columns.begin);
      else
        multiply_tile<kPanelVectors>(w, x + m * p.depth, sums + n - columns.begin);
    }
    for (int64_t i = m; i < rows.end; ++i) put_run<C>(p, i, columns, sums + (i - m) * kSumRow);
  }
}

// At most kMostTens rows.
template <class C>
static void multiply_tens(const Product& p) {
  TensorView across = p.a;
  std::swap(across.shape[0], across.shape[1]);
  std::swap(across.stride[0], across.stride[1]);
  const int64_t panels = (p.m + kPanelColumns - 1) / kPanelColumns;
  const Scratch packed(panels * kPanelColumns * p.depth, 1);
  Pair* const x = as_operands<Pair>(packed.of_thread(0));
  parallel_for(panels, row_grain(kPanelColumns * p.depth, kGrain), [&](int64_t i) {
    pack_panel<BF16>(across, i * kPanelColumns, x + i * kPanelColumns * p.depth);
  });
  // Narrower units where there would be too few for the threads.
  const int64_t tiles = (p.n + kPanelRows - 1) / kPanelRows;
  const int64_t width =
      kPanelRows * std::clamp<int64_t>(tiles / (4 * thread_count()), 1, kTensColumns / kPanelRows);
  const Scratch scratch(kPanelColumns * kSumRow + kPanelRows * p.depth, thread_count());
  parallel_dynamic((p.n + width - 1) / width, [&](int64_t unit, int thread) {
    float* const sums = scratch.of_thread(thread);
    auto* const copy = static_cast<BF16*>(static_cast<void*>(sums + kPanelColumns * kSumRow));
    compute_columns<C>(p, {unit * width, std::min((unit + 1) * width, p.n)}, x, copy, sums);
  });
}
