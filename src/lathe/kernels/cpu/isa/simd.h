// Vectors of float at this level's width, and the one small matrix product that tiles are made of.
//
// Vectors are the compiler's own (GCC and Clang vector extensions), so this one header serves every
// instruction set; a * b + c becomes a fused multiply-add where the level has one. Include inside
// the level.h frame, after the namespace is opened.
#pragma once

#if defined(LATHE_ISA_avx512) || defined(LATHE_ISA_avx512_bf16)
constexpr int kWidth = 16;       // floats in a register
constexpr int kTileVectors = 4;  // registers of B in the product's inner tile
#elif defined(LATHE_ISA_avx2)
constexpr int kWidth = 8;
constexpr int kTileVectors = 2;
#else
constexpr int kWidth = 4;
constexpr int kTileVectors = 2;
#endif
constexpr int kTileRows = 4;

typedef float Vec __attribute__((vector_size(kWidth * sizeof(float))));

#define LATHE_INLINE [[gnu::always_inline]] static inline

constexpr int64_t padded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

LATHE_INLINE Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
LATHE_INLINE void store(float* p, Vec v) { __builtin_memcpy(p, &v, sizeof(v)); }

typedef uint32_t Words __attribute__((vector_size(kWidth * sizeof(uint32_t))));
typedef uint16_t Halves __attribute__((vector_size(kWidth * sizeof(uint16_t))));

LATHE_INLINE Vec load(const BF16* p) {
  Halves h;
  __builtin_memcpy(&h, p, sizeof(h));
  return (Vec)(__builtin_convertvector(h, Words) << 16);
}
// Rounds as to_bf16() does.
LATHE_INLINE void store(BF16* p, Vec v) {
  const Words u = (Words)v, rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
  const Words quiet = (u >> 16) | 0x40u, is_nan = (Words)((u & 0x7FFFFFFFu) > 0x7F800000u);
  const Halves h = __builtin_convertvector((is_nan & quiet) | (~is_nan & rounded), Halves);
  __builtin_memcpy(p, &h, sizeof(h));
}

LATHE_INLINE float sum_of(Vec v) {
  float total = 0.0f;
  for (int i = 0; i < kWidth; ++i) total += v[i];
  return total;
}

// A: M x K read as a[m * row + k * col] (so a transpose costs nothing); B: K x N with rows ldb
// apart; C: M x N. N is a multiple of kWidth.
struct TileProduct {
  int64_t m, n, k;
  const float* a;
  int64_t a_row, a_col;
  const float* b;
  int64_t ldb;
  float* c;
  int64_t ldc;
};

// One register tile: R rows by C vectors of the product, accumulated over all of K.
template <int R, int C, bool kAdd>
LATHE_INLINE void register_tile(const TileProduct& t, int64_t m, int64_t n) {
  Vec sum[R][C];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c)
      sum[r][c] = kAdd ? load(t.c + (m + r) * t.ldc + n + c * kWidth) : Vec{};
  const float* a = t.a + m * t.a_row;
  const float* b = t.b + n;
  for (int64_t k = 0; k < t.k; ++k, a += t.a_col, b += t.ldb) {
    Vec row[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) row[c] = load(b + c * kWidth);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sum[r][c] += a[r * t.a_row] * row[c];
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) store(t.c + (m + r) * t.ldc + n + c * kWidth, sum[r][c]);
}

template <int C, bool kAdd>
static void tile_columns(const TileProduct& t, int64_t n) {
  int64_t m = 0;
  for (; m + kTileRows <= t.m; m += kTileRows) register_tile<kTileRows, C, kAdd>(t, m, n);
  for (; m < t.m; ++m) register_tile<1, C, kAdd>(t, m, n);
}

// C = A·B, or C += A·B when kAdd.
template <bool kAdd>
static void tile_product(const TileProduct& t) {
  int64_t n = 0;
  for (; n + kTileVectors * kWidth <= t.n; n += kTileVectors * kWidth)
    tile_columns<kTileVectors, kAdd>(t, n);
  for (; n < t.n; n += kWidth) tile_columns<1, kAdd>(t, n);
}
