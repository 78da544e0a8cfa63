#include "lathe/kernels/cpu/isa/isa.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {

void fill(Kernels& table) {
  fill_matmul(table);
  fill_elementwise(table);
  fill_reductions(table);
  fill_activation(table);
  fill_norm(table);
  fill_depthwise_conv(table);
  fill_embedding(table);
  fill_gather(table);
  fill_softmax(table);
  fill_rope(table);
  fill_attention(table);
  fill_attention_backward(table);
  fill_dropout(table);
  fill_cross_entropy(table);
  fill_adamw(table);
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
