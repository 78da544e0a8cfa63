// The kernels of avx512_bf16 that multiply bf16 in pairs, and those of amx_bf16 that do so in matrix tiles, in
// instructions that every machine has (src/lathe/kernels/CMakeLists.txt).
#pragma once

#include "lathe/kernels/slots.h"

#define LATHE_DECLARE_EMULATED(level)      \
  namespace lathe::kernels::level {        \
  LATHE_DECLARE_KERNEL(matmul)             \
  LATHE_DECLARE_KERNEL(row_matmul)         \
  LATHE_DECLARE_KERNEL(attention)          \
  LATHE_DECLARE_KERNEL(attention_backward) \
  }
LATHE_DECLARE_EMULATED(isa_emulated_bf16)
LATHE_DECLARE_EMULATED(isa_emulated_amx)
#undef LATHE_DECLARE_EMULATED

namespace lathe::kernels::testing {

inline const Kernels& pair_kernels() {
  static const Kernels table = [] {
    Kernels emulated = ref_kernels();
    emulated.level = "emulated_bf16";
    emulated.matmul = isa_emulated_bf16::matmul;
    emulated.row_matmul = isa_emulated_bf16::row_matmul;
    emulated.attention = isa_emulated_bf16::attention;
    emulated.attention_backward = isa_emulated_bf16::attention_backward;
    return emulated;
  }();
  return table;
}

inline const Kernels& tile_kernels() {
  static const Kernels table = [] {
    Kernels emulated = ref_kernels();
    emulated.level = "emulated_amx";
    emulated.matmul = isa_emulated_amx::matmul;
    emulated.row_matmul = isa_emulated_amx::row_matmul;
    emulated.attention = isa_emulated_amx::attention;
    emulated.attention_backward = isa_emulated_amx::attention_backward;
    return emulated;
  }();
  return table;
}

}  // namespace lathe::kernels::testing
