// Products of bytes for quantised weights, at every instruction-set level. A Words register holds,
// in each lane, four unsigned bytes of one row of weights; x contributes four signed bytes, the same
// for all lanes. Include inside the level.h frame, after simd.h.
#pragma once

typedef int32_t Ints __attribute__((vector_size(kWidth * sizeof(int32_t))));
typedef uint8_t Bytes __attribute__((vector_size(kWidth)));
typedef int8_t SignedBytes __attribute__((vector_size(kWidth)));

LATHE_INLINE Words load_words(const std::byte* p) {
  Words w;
  __builtin_memcpy(&w, p, sizeof(w));
  return w;
}

#if defined(LATHE_HAS_AVX512)
// For the masked forms of instructions, because GCC 12 warns of an undefined vector in the plain ones.
constexpr __mmask16 kAllLanes = 0xFFFF;
#endif

// kFactor·x in every lane, x loaded into all lanes and multiplied there: cheaper than the other order.
template <int kFactor>
LATHE_INLINE Ints times(const int32_t& x) {
  static_assert((kFactor & (kFactor - 1)) == 0, "a power of two");
#if defined(LATHE_HAS_AVX512)
  return (Ints)_mm512_maskz_slli_epi32(kAllLanes, _mm512_set1_epi32(x),
                                       std::countr_zero(unsigned{kFactor}));
#elif defined(LATHE_HAS_AVX2)
  return (Ints)_mm256_slli_epi32(_mm256_set1_epi32(x), std::countr_zero(unsigned{kFactor}));
#else
  return (Ints{} + x) * kFactor;
#endif
}

// sum + w·x, exactly. kSmall promises bytes of w below 128: two products then fit into 16 bits.
template <bool kSmall>
LATHE_INLINE Ints add_dot(Ints sum, Words w, int32_t x) {
#if defined(LATHE_ISA_avx512_bf16) || defined(LATHE_ISA_avx512_vnni)
  return (Ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, _mm512_set1_epi32(x));
#elif defined(LATHE_ISA_avx2_vnni)
  return (Ints)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)w, _mm256_set1_epi32(x));
#elif defined(LATHE_ISA_avx512)
  if constexpr (kSmall) {
    const __m512i pairs = _mm512_maddubs_epi16((__m512i)w, _mm512_set1_epi32(x));
    return sum + (Ints)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
  } else {
    const __m512i all = _mm512_set1_epi32(x);
    const __m512i even = _mm512_srai_epi16(_mm512_slli_epi16(all, 8), 8);
    return sum + (Ints)_mm512_madd_epi16((__m512i)(w & 0x00FF00FFu), even) +
           (Ints)_mm512_madd_epi16(_mm512_srli_epi16((__m512i)w, 8), _mm512_srai_epi16(all, 8));
  }
#elif defined(LATHE_ISA_avx2)
  if constexpr (kSmall) {
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)w, _mm256_set1_epi32(x));
    return sum + (Ints)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  } else {
    const __m256i all = _mm256_set1_epi32(x);
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(all, 8), 8);
    return sum + (Ints)_mm256_madd_epi16((__m256i)(w & 0x00FF00FFu), even) +
           (Ints)_mm256_madd_epi16(_mm256_srli_epi16((__m256i)w, 8), _mm256_srai_epi16(all, 8));
  }
#else
  for (int i = 0; i < 4; ++i)
    sum += (Ints)(w >> (8 * i) & 0xFFu) * static_cast<int32_t>(static_cast<int8_t>(x >> (8 * i)));
  return sum;
#endif
}

// a·b + c, rounded once where the level has the instruction: written out, so that every loop that
// computes a row rounds alike.
LATHE_INLINE Vec multiply_add(Vec a, Vec b, Vec c) {
#if defined(LATHE_HAS_AVX512)
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(LATHE_HAS_AVX2)
  return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

// kWidth numbers of f16.
LATHE_INLINE Vec load_f16(const std::byte* p) {
#if defined(LATHE_HAS_AVX512)
  return (Vec)_mm512_maskz_cvtph_ps(kAllLanes,
                                    _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#elif defined(LATHE_HAS_AVX2)
  return (Vec)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#else
  Vec v;
  for (int i = 0; i < kWidth; ++i) {
    F16 x;
    __builtin_memcpy(&x, p + 2 * i, sizeof(x));
    v[i] = to_float(x);
  }
  return v;
#endif
}

// kWidth bytes as numbers, unsigned or signed. Written out, because GCC 12 converts one by one.
LATHE_INLINE Vec load_unsigned(const std::byte* p) {
#if defined(LATHE_HAS_AVX512)
  const __m512i wide =
      _mm512_maskz_cvtepu8_epi32(kAllLanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return __builtin_convertvector((Ints)wide, Vec);
#elif defined(LATHE_HAS_AVX2)
  const __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return __builtin_convertvector((Ints)wide, Vec);
#else
  Bytes bytes;
  __builtin_memcpy(&bytes, p, sizeof(bytes));
  return __builtin_convertvector(bytes, Vec);
#endif
}
LATHE_INLINE Vec load_signed(const std::byte* p) {
#if defined(LATHE_HAS_AVX512)
  const __m512i wide =
      _mm512_maskz_cvtepi8_epi32(kAllLanes, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return __builtin_convertvector((Ints)wide, Vec);
#elif defined(LATHE_HAS_AVX2)
  const __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return __builtin_convertvector((Ints)wide, Vec);
#else
  SignedBytes bytes;
  __builtin_memcpy(&bytes, p, sizeof(bytes));
  return __builtin_convertvector(bytes, Vec);
#endif
}

// Of lanes below 2^31.
LATHE_INLINE uint32_t largest_lane(Words w) {
#if defined(LATHE_HAS_AVX512) || defined(LATHE_HAS_AVX2)
  __m128i parts[kWidth / 4];
  __builtin_memcpy(parts, &w, sizeof(parts));
  __m128i four = parts[0];
  for (int i = 1; i < kWidth / 4; ++i) four = _mm_max_epi32(four, parts[i]);
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xB1));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(four));
#else
  uint32_t largest = 0;
  for (int i = 0; i < kWidth; ++i) largest = std::max<uint32_t>(largest, w[i]);
  return largest;
#endif
}

LATHE_INLINE int32_t sum_of_16(const int8_t* q) {
#if defined(LATHE_HAS_AVX512) || defined(LATHE_HAS_AVX2)
  // As bytes from 0 to 255, whose distances from 0 one instruction adds.
  const __m128i bytes = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q)),
                                      _mm_set1_epi8(static_cast<char>(0x80)));
  const __m128i sums = _mm_sad_epu8(bytes, _mm_setzero_si128());
  return _mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4) - 16 * 128;
#else
  int32_t sum = 0;
  for (int i = 0; i < 16; ++i) sum += q[i];
  return sum;
#endif
}
