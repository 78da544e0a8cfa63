// Transposes a square of kWidth vectors in registers. Include inside the level.h frame.
#pragma once

#include "lathe/kernels/cpu/isa/simd.h"

// Transposes blocks of kHalf lanes between two vectors; log2(kWidth) rounds transpose a square.
template <int kHalf, size_t... L>
LATHE_INLINE void swap_blocks(Vec& a, Vec& b, std::index_sequence<L...>) {
  const Vec upper = __builtin_shufflevector(a, b, ((L & kHalf) ? kWidth + L - kHalf : L)...);
  b = __builtin_shufflevector(a, b, ((L & kHalf) ? kWidth + L : L + kHalf)...);
  a = upper;
}
template <int kHalf>
LATHE_INLINE void transpose_from(Vec (&v)[kWidth]) {
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i)
    if ((i & kHalf) == 0)
      swap_blocks<kHalf>(v[i], v[i + kHalf], std::make_index_sequence<kWidth>());
  if constexpr (kHalf > 1) transpose_from<kHalf / 2>(v);
}
LATHE_INLINE void transpose(Vec (&v)[kWidth]) { transpose_from<kWidth / 2>(v); }
