// The choice of the kernel for a dense product, and oneDNN's products: one primitive per (shape,
// layout, dtypes) is made once and kept.
#pragma once

#include "lathe/kernels/kernels.h"

namespace lathe::kernels::cpu {

// Whether a · b has so few rows that reading the weights dominates its cost, so that the library,
// which packs them first, is no help.
inline bool few_rows(const TensorView& a, const TensorView& b) {
  constexpr int64_t kFewRows = 16;
  return a.shape[0] <= kFewRows && a.stride[1] == 1 && b.stride[0] == 1;
}

// Kernels::matmul for f32 and bf16 by oneDNN; false, without doing anything, if it has no product
// of these dtypes for this machine. Thread-safe.
bool library_matmul(const TensorView& a, const TensorView& b, const TensorView& bias,
                    const TensorView& c, Write write);

}  // namespace lathe::kernels::cpu
