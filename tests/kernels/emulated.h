// The kernels of avx512_bf16 that multiply bf16 in pairs, in instructions that every machine has
// (src/lathe/kernels/CMakeLists.txt).
#pragma once

#include "lathe/kernels/slots.h"

namespace lathe::kernels::isa_emulated_bf16 {
LATHE_DECLARE_KERNEL(matmul)
LATHE_DECLARE_KERNEL(row_matmul)
LATHE_DECLARE_KERNEL(attention)
LATHE_DECLARE_KERNEL(attention_backward)
}  // namespace lathe::kernels::isa_emulated_bf16

namespace lathe::kernels::testing {

inline const Kernels& pair_kernels() {
  static const Kernels table = [] {
    Kernels emulated = ref_kernels();
    emulated.matmul = isa_emulated_bf16::matmul;
    emulated.row_matmul = isa_emulated_bf16::row_matmul;
    emulated.attention = isa_emulated_bf16::attention;
    emulated.attention_backward = isa_emulated_bf16::attention_backward;
    return emulated;
  }();
  return table;
}

}  // namespace lathe::kernels::testing
