// The small matrix product that attention's tiles are made of, C = A·B, accumulated in f32. Operands
// are f32, or bf16 in pairs along K where the processor multiplies pairs and adds both products.
// Include inside the level.h frame.
#pragma once

#include "lathe/kernels/cpu/isa/simd.h"

// Elements 2i (lower half) and 2i + 1 of a bf16 operand along K.
struct Pair {
  uint32_t bits;
};

#if defined(LATHE_ISA_avx512_bf16) || defined(LATHE_ISA_emulated_bf16)
constexpr bool kHasPairProducts = true;
#else
constexpr bool kHasPairProducts = false;
#endif

// What tiles of inputs of type T take part in products as.
template <class T>
using Operand = std::conditional_t<kHasPairProducts && std::is_same_v<T, BF16>, Pair, float>;
// How many of them `n` values along K fill.
template <class E>
constexpr int64_t operand_length(int64_t n) {
  return std::is_same_v<E, Pair> ? (n + 1) / 2 : n;
}

#if defined(LATHE_ISA_avx512_bf16)
typedef uint16_t Lanes __attribute__((vector_size(64)));
#endif

LATHE_INLINE Words load(const Pair* p) {
  Words w;
  __builtin_memcpy(&w, p, sizeof(w));
  return w;
}

LATHE_INLINE Vec add_product(Vec sum, float a, Vec b) { return sum + a * b; }

LATHE_INLINE Vec add_product(Vec sum, Pair a, Words b) {
  const Words pair = Words{} + a.bits;
#if defined(LATHE_ISA_avx512_bf16)
  return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)pair, (__m512bh)b);
#else
  sum += (Vec)(pair << 16) * (Vec)(b << 16);
  return sum + (Vec)(pair & 0xFFFF0000u) * (Vec)(b & 0xFFFF0000u);
#endif
}

// Rounds two vectors to bf16 and stores them as pairs.
LATHE_INLINE void store_pairs(Pair* to, Vec even, Vec odd) {
#if defined(LATHE_ISA_avx512_bf16)
  const auto both = (Lanes)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even);
  const Lanes pairs =
      __builtin_shufflevector(both, both, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8,
                              24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#else
  const Words pairs = narrowed(even) | narrowed(odd) << 16;
#endif
  __builtin_memcpy(to, &pairs, sizeof(pairs));
}

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
