// Vectors of float at this level's width.
//
// Vectors are the compiler's own (GCC and Clang vector extensions), so this one header serves every
// instruction set; a * b + c becomes a fused multiply-add where the level has one. bf16 is
// converted by integer operations at every level: the instruction of AVX512-BF16 would make
// subnormal numbers zero, in vectors but not in the elements that are left over. Include inside the
// level.h frame, after the namespace is opened.
#pragma once

// Floats in a register.
#if defined(LATHE_HAS_AVX512) || defined(LATHE_EMULATES_BF16_PAIRS)
constexpr int kWidth = 16;
#elif defined(LATHE_HAS_AVX2)
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
#if defined(LATHE_HAS_AVX2)
  // The compiler's widening and shift are three operations, one byte shuffle does both.
  const __m256i both =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i to_upper =
      _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 2, 3, -1, -1, 4, 5, -1, -1, 6, 7,  //
                       -1, -1, 8, 9, -1, -1, 10, 11, -1, -1, 12, 13, -1, -1, 14, 15);
  return (Vec)_mm256_shuffle_epi8(both, to_upper);
#else
  Halves h;
  __builtin_memcpy(&h, p, sizeof(h));
  return (Vec)(__builtin_convertvector(h, Words) << 16);
#endif
}
// The bits of bf16 values, one a word, rounded as to_bf16() does: 0x7FFF is added, and 1 where the
// last bit that stays is set. (Where it is not, a comparison gives -1 to add to 0x8000; shifts are
// slower.)
LATHE_INLINE Words narrowed(Vec v) {
  const Words u = (Words)v, rounded = u + 0x8000u + (Words)((u & 0x10000u) == 0u);
  const Words quiet = u | 0x400000u;
  return (v != v ? quiet : rounded) >> 16;
}
LATHE_INLINE void store(BF16* p, Vec v) {
#if defined(LATHE_HAS_AVX2)
  const __m256i words = (__m256i)narrowed(v);
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(p),
      _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
#else
  const Halves h = __builtin_convertvector(narrowed(v), Halves);
  __builtin_memcpy(p, &h, sizeof(h));
#endif
}

LATHE_INLINE float sum_of(Vec v) {
  float total = 0.0f;
  for (int i = 0; i < kWidth; ++i) total += v[i];
  return total;
}
