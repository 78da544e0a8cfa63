// Vectors of float at this level's width.
//
// Vectors are the compiler's own (GCC and Clang vector extensions), so this one header serves every
// instruction set; a * b + c becomes a fused multiply-add where the level has one. Include inside
// the level.h frame, after the namespace is opened.
#pragma once

// Floats in a register. The tests compile attention once more with the shapes of avx512_bf16 and
// without its instructions, as level emulated_bf16.
#if defined(LATHE_ISA_avx512) || defined(LATHE_ISA_avx512_bf16) || defined(LATHE_ISA_emulated_bf16)
constexpr int kWidth = 16;
#elif defined(LATHE_ISA_avx2)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif

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
// The bits of bf16 values, one a word, rounded as to_bf16() does.
LATHE_INLINE Words narrowed(Vec v) {
  const Words u = (Words)v, rounded = (u + 0x7FFFu + ((u >> 16) & 1u)) >> 16;
  const Words quiet = (u >> 16) | 0x40u, is_nan = (Words)((u & 0x7FFFFFFFu) > 0x7F800000u);
  return (is_nan & quiet) | (~is_nan & rounded);
}
LATHE_INLINE void store(BF16* p, Vec v) {
  const Halves h = __builtin_convertvector(narrowed(v), Halves);
  __builtin_memcpy(p, &h, sizeof(h));
}

LATHE_INLINE float sum_of(Vec v) {
  float total = 0.0f;
  for (int i = 0; i < kWidth; ++i) total += v[i];
  return total;
}
