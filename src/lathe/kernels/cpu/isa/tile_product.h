// The small matrix product that attention's tiles are made of, C = A·B, of operands as in pair.h.
// Include inside the level.h frame.
#pragma once

#include "lathe/kernels/cpu/isa/pair.h"

// A: M x K, element (m, k) at a[m * a_row + k * a_col], so a transpose costs nothing; B: K x N with
// rows ldb apart; C: M x N. K counts pairs when the operands are pairs. N is a multiple of kWidth.
template <class E>
struct TileProduct {
  int64_t m, n, k;
  const E* a;
  int64_t a_row, a_col;
  const E* b;
  int64_t ldb;
  float* c;
  int64_t ldc;
  float factor = 1.0f;  // of a product that is not added
};

constexpr int kTileVectors = kWidth == 16 ? 4 : 2;  // registers of B in the inner tile

// One register tile: R rows by C vectors of the product, accumulated over all of K.
template <int R, int C, bool kAdd, class E>
LATHE_INLINE void register_tile(const TileProduct<E>& t, int64_t m, int64_t n) {
  Vec sum[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      sum[r][c] = kAdd ? load(t.c + (m + r) * t.ldc + n + c * kWidth) : Vec{};
  const E* a = t.a + m * t.a_row;
  const E* b = t.b + n;
  for (int64_t k = 0; k < t.k; ++k, a += t.a_col, b += t.ldb) {
    decltype(load(b)) row[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) row[c] = load(b + c * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sum[r][c] = add_product(sum[r][c], a[r * t.a_row], row[c]);
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      store(t.c + (m + r) * t.ldc + n + c * kWidth, kAdd ? sum[r][c] : sum[r][c] * t.factor);
}

template <int C, bool kAdd, class E>
static void tile_columns(const TileProduct<E>& t, int64_t n) {
  int64_t m = 0;
  for (; m + 6 <= t.m; m += 6) register_tile<6, C, kAdd>(t, m, n);
  for (; m + 4 <= t.m; m += 4) register_tile<4, C, kAdd>(t, m, n);
  for (; m < t.m; ++m) register_tile<1, C, kAdd>(t, m, n);
}

// C = factor·A·B, or C += A·B when kAdd.
template <bool kAdd, class E>
static void tile_product(const TileProduct<E>& t) {
  int64_t n = 0;
  for (; n + kTileVectors * kWidth <= t.n; n += kTileVectors * kWidth)
    tile_columns<kTileVectors, kAdd>(t, n);
  for (; n < t.n; n += kWidth) tile_columns<1, kAdd>(t, n);
}
