// The kernels of avx512_bf16 that multiply bf16 in pairs, and those of amx_bf16 that do so in matrix tiles, in
// instructions that every machine has (src/lathe/kernels/CMakeLists.txt).
#pragma once

#include "lathe/kernels/cpu/isa/isa.h"

namespace lathe::kernels::testing {

#define LATHE_TABLE_WITH_PRODUCTS_OF(emulation)                        \
  [] {                                                                 \
    Kernels emulated = ref_kernels();                                  \
    emulated.level = #emulation;                                       \
    emulated.matmul = isa_##emulation::matmul;                         \
    emulated.row_matmul = isa_##emulation::row_matmul;                 \
    emulated.attention = isa_##emulation::attention;                   \
    emulated.attention_backward = isa_##emulation::attention_backward; \
    return emulated;                                                   \
  }()

inline const Kernels& pair_kernels() {
  static const Kernels table = LATHE_TABLE_WITH_PRODUCTS_OF(emulated_bf16);
  return table;
}

inline const Kernels& tile_kernels() {
  static const Kernels table = LATHE_TABLE_WITH_PRODUCTS_OF(emulated_amx);
  return table;
}

#undef LATHE_TABLE_WITH_PRODUCTS_OF

}  // namespace lathe::kernels::testing
