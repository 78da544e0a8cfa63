// The kernels of avx512_bf16 that multiply bf16 in pairs, in instructions that every machine has
// (src/lathe/kernels/CMakeLists.txt).
#pragma once

#include "lathe/kernels/kernels.h"

namespace lathe::kernels::isa_emulated_bf16 {
void fill_attention(Kernels& table);
void fill_attention_backward(Kernels& table);
void fill_matmul(Kernels& table);
}  // namespace lathe::kernels::isa_emulated_bf16

namespace lathe::kernels::testing {

inline const Kernels& pair_kernels() {
  static const Kernels table = [] {
    Kernels emulated = ref_kernels();
    isa_emulated_bf16::fill_attention(emulated);
    isa_emulated_bf16::fill_attention_backward(emulated);
    isa_emulated_bf16::fill_matmul(emulated);
    return emulated;
  }();
  return table;
}

}  // namespace lathe::kernels::testing
