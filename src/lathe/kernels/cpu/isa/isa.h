// Each instruction-set level defines one function for every entry of the table, with its name, and
// fill(), which puts them all into a table. The kernels of a level take f32 and bf16 with a
// contiguous last dimension; cpu/table.cc sends everything else to the reference kernels.
#pragma once

#include "lathe/kernels/slots.h"

#define LATHE_DECLARE_LEVEL(level)         \
  namespace level {                        \
  LATHE_KERNEL_SLOTS(LATHE_DECLARE_KERNEL) \
  void fill(Kernels& table);               \
  }

namespace lathe::kernels {
LATHE_DECLARE_LEVEL(isa_baseline)
LATHE_DECLARE_LEVEL(isa_avx2)
LATHE_DECLARE_LEVEL(isa_avx512)
LATHE_DECLARE_LEVEL(isa_avx512_bf16)

// The same with the instructions that add products of bytes, which processors have or lack beside
// the levels.
namespace isa_avx2_vnni {
LATHE_DECLARE_KERNEL(quantized_matmul)
}
namespace isa_avx512_vnni {
LATHE_DECLARE_KERNEL(quantized_matmul)
}

// Dense products and those of attention: in matrix tiles, which come with some processors of avx512_bf16; and for the tests
// in pairs and in tiles without the instructions for them (LATHE_EMULATES_BF16_PAIRS).
#define LATHE_DECLARE_PRODUCTS(level)      \
  namespace level {                        \
  LATHE_DECLARE_KERNEL(matmul)             \
  LATHE_DECLARE_KERNEL(row_matmul)         \
  LATHE_DECLARE_KERNEL(attention)          \
  LATHE_DECLARE_KERNEL(attention_backward) \
  }
LATHE_DECLARE_PRODUCTS(isa_amx_bf16)
LATHE_DECLARE_PRODUCTS(isa_emulated_bf16)
LATHE_DECLARE_PRODUCTS(isa_emulated_amx)
}  // namespace lathe::kernels

#undef LATHE_DECLARE_PRODUCTS
#undef LATHE_DECLARE_LEVEL
