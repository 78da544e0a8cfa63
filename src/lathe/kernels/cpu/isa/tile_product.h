// The small matrix product that attention's tiles are made of, C = A·B, of operands as in pair.h.
// Include inside the level.h frame.
#pragma once

#include "lathe/kernels/cpu/isa/matrix_tiles.h"

// A: M x K, element (m, k) at a[m * a_row + k * a_col], so a transpose costs nothing; B: K x N with
// rows ldb apart; C: M x N. K counts pairs when the operands are pairs. N is a multiple of kWidth.
//
// Pairs are multiplied in matrix tiles where there are such: then a_col is 1, A and C have memory for rows up to a
// multiple of 16, and A has finite numbers in rows of K up to a multiple of 16.
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

#if defined(LATHE_HAS_MATRIX_TILES)
// R · 16 rows by C · 16 columns.
template <int R, int C, bool kAdd>
static void matrix_tile(const TileProduct<Pair>& t, int64_t m, int64_t n) {
  const int64_t whole = t.k / kTile * kTile, a_bytes = t.a_row * int64_t{sizeof(Pair)};
  const Pair *a = t.a + m * t.a_row, *b = t.b + n;
  float* const c = t.c + m * t.ldc + n;
  Pair rest[kTile * C * kTile];  // of B, beside zeros
  if (whole < t.k) {
    std::fill(std::begin(rest), std::end(rest), Pair{});
    for (int64_t k = whole; k < t.k; ++k)
      std::copy_n(b + k * t.ldb, C * kTile, rest + (k - whole) * C * kTile);
  }
  settle_memory();
  if constexpr (kAdd)
    load_sums<R, C>(c, t.ldc);
  else
    zero_sums<R, C>();
  for (int64_t k = 0; k < whole; k += kTile)
    add_step<R, C>(a + k, a_bytes, b + k * t.ldb, t.ldb, kTile);
  if (whole < t.k) add_step<R, C>(a + whole, a_bytes, rest, C * kTile, kTile);
  store_sums<R, C>(c, t.ldc);
  settle_memory();
}

template <int C, bool kAdd>
static void matrix_tiles(const TileProduct<Pair>& t, int64_t n) {
  int64_t m = 0;
  for (; m + kTile < t.m; m += 2 * kTile) matrix_tile<2, C, kAdd>(t, m, n);
  if (m < t.m) matrix_tile<1, C, kAdd>(t, m, n);
}

template <bool kAdd>
static void product_in_matrix_tiles(const TileProduct<Pair>& t) {
  int64_t n = 0;
  for (; n + 2 * kTile <= t.n; n += 2 * kTile) matrix_tiles<2, kAdd>(t, n);
  if (n < t.n) matrix_tiles<1, kAdd>(t, n);
  if (kAdd || t.factor == 1.0f) return;
  for (int64_t r = 0; r < t.m; ++r)
    for (n = 0; n < t.n; n += kWidth)
      store(t.c + r * t.ldc + n, load(t.c + r * t.ldc + n) * t.factor);
}
#endif

// C = factor·A·B, or C += A·B when kAdd.
template <bool kAdd, class E>
static void tile_product(const TileProduct<E>& t) {
#if defined(LATHE_HAS_MATRIX_TILES)
  if constexpr (std::is_same_v<E, Pair>) return product_in_matrix_tiles<kAdd>(t);
#endif
  int64_t n = 0;
  for (; n + kTileVectors * kWidth <= t.n; n += kTileVectors * kWidth)
    tile_columns<kTileVectors, kAdd>(t, n);
  for (; n < t.n; n += kWidth) tile_columns<1, kAdd>(t, n);
}
