// Operands of products accumulated in f32: floats, or bf16 in pairs along K where the processor
// multiplies pairs and adds both products. Include inside the level.h frame.
#pragma once

#include "lathe/kernels/cpu/isa/simd.h"

// Elements 2i (lower half) and 2i + 1 of a bf16 operand along K.
struct Pair {
  uint32_t bits;
};

#if defined(LATHE_HAS_BF16_PAIRS) || defined(LATHE_EMULATES_BF16_PAIRS)
constexpr bool kHasPairProducts = true;
#else
constexpr bool kHasPairProducts = false;
#endif

// The type of operand that inputs of type T become in products.
template <class T>
using Operand = std::conditional_t<kHasPairProducts && std::is_same_v<T, BF16>, Pair, float>;
// Values along K that an operand holds.
template <class E>
constexpr int64_t kValues = std::is_same_v<E, Pair> ? 2 : 1;
// How many operands `n` values along K fill.
template <class E>
constexpr int64_t operand_length(int64_t n) {
  return (n + kValues<E> - 1) / kValues<E>;
}

// Working memory as operands: both kinds are as large as a float.
template <class E>
LATHE_INLINE E* as_operands(float* memory) {
  static_assert(sizeof(E) == sizeof(float));
  return static_cast<E*>(static_cast<void*>(memory));
}

#if defined(LATHE_HAS_BF16_PAIRS)
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
#if defined(LATHE_HAS_BF16_PAIRS)
  return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)pair, (__m512bh)b);
#else
  sum += (Vec)(pair << 16) * (Vec)(b << 16);
  return sum + (Vec)(pair & 0xFFFF0000u) * (Vec)(b & 0xFFFF0000u);
#endif
}

// Rounds two vectors to bf16 and stores them as pairs.
LATHE_INLINE void store_pairs(Pair* to, Vec even, Vec odd) {
#if defined(LATHE_HAS_BF16_PAIRS)
  const auto both = (Lanes)_mm512_cvtne2ps_pbh((__m512)odd, (__m512)even);
  const Lanes pairs =
      __builtin_shufflevector(both, both, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8,
                              24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#else
  const Words pairs = narrowed(even) | narrowed(odd) << 16;
#endif
  __builtin_memcpy(to, &pairs, sizeof(pairs));
}

// Pairs n values of two rows; a row beyond the last (nullptr) is zeros.
LATHE_INLINE void stack_pairs(const BF16* even, const BF16* odd, Pair* to, int64_t n) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    Halves lower, upper{};
    __builtin_memcpy(&lower, even + i, sizeof(lower));
    if (odd != nullptr) __builtin_memcpy(&upper, odd + i, sizeof(upper));
    const Words pairs =
        __builtin_convertvector(lower, Words) | __builtin_convertvector(upper, Words) << 16;
    __builtin_memcpy(to + i, &pairs, sizeof(pairs));
  }
  for (; i < n; ++i) to[i].bits = even[i].bits | (odd != nullptr ? uint32_t{odd[i].bits} << 16 : 0);
}
