// What each instruction-set level defines: one function per family that puts its kernels into the
// table, and fill(), which calls them all (fill.cc). The kernels of a level take f32 and bf16 with
// a contiguous last dimension; cpu/table.cc sends everything else to the reference kernels.
#pragma once

#include "lathe/kernels/kernels.h"

#define LATHE_DECLARE_LEVEL(level)              \
  namespace level {                             \
  void fill(Kernels& table);                    \
  void fill_matmul(Kernels& table);             \
  void fill_elementwise(Kernels& table);        \
  void fill_reductions(Kernels& table);         \
  void fill_activation(Kernels& table);         \
  void fill_norm(Kernels& table);               \
  void fill_depthwise_conv(Kernels& table);     \
  void fill_embedding(Kernels& table);          \
  void fill_gather(Kernels& table);             \
  void fill_softmax(Kernels& table);            \
  void fill_rope(Kernels& table);               \
  void fill_attention(Kernels& table);          \
  void fill_attention_backward(Kernels& table); \
  void fill_dropout(Kernels& table);            \
  void fill_cross_entropy(Kernels& table);      \
  void fill_adamw(Kernels& table);              \
  }

namespace lathe::kernels {
LATHE_DECLARE_LEVEL(isa_baseline)
LATHE_DECLARE_LEVEL(isa_avx2)
LATHE_DECLARE_LEVEL(isa_avx512)
LATHE_DECLARE_LEVEL(isa_avx512_bf16)
}  // namespace lathe::kernels

#undef LATHE_DECLARE_LEVEL
