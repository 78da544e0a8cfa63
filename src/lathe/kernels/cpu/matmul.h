// Dense products on the CPU: oneDNN, with one primitive per (shape, layout, dtypes) made once and
// kept.
#pragma once

#include "lathe/kernels/kernels.h"

namespace lathe::kernels::cpu {

// Kernels::matmul for f32 and bf16. Where oneDNN has no bf16 product for this machine, operands are
// widened to f32 first. Thread-safe.
void matmul(const TensorView& a, const TensorView& b, const TensorView& bias, const TensorView& c,
            Write write);

}  // namespace lathe::kernels::cpu
