#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels {

const Kernels& ref_kernels() {
  static const Kernels table{
      .name = "ref",
      .level = "scalar",
      .matmul = ref::matmul,
      .add = ref::add,
      .axpy = ref::axpy,
      .scale = ref::scale,
      .cast = ref::cast,
      .sum_rows = ref::sum_rows,
      .sum_squares = ref::sum_squares,
      .activation = ref::activation,
      .activation_backward = ref::activation_backward,
      .gated = ref::gated,
      .gated_backward = ref::gated_backward,
      .rms_norm = ref::rms_norm,
      .rms_norm_backward = ref::rms_norm_backward,
      .layer_norm = ref::layer_norm,
      .layer_norm_backward = ref::layer_norm_backward,
      .crms_norm = ref::crms_norm,
      .crms_norm_backward = ref::crms_norm_backward,
      .depthwise_conv = ref::depthwise_conv,
      .depthwise_conv_backward = ref::depthwise_conv_backward,
      .embedding = ref::embedding,
      .embedding_backward = ref::embedding_backward,
      .gather_rows = ref::gather_rows,
      .gather_sum = ref::gather_sum,
      .gather_dot = ref::gather_dot,
      .softmax = ref::softmax,
      .softmax_backward = ref::softmax_backward,
      .rope = ref::rope,
      .attention = ref::attention,
      .attention_backward = ref::attention_backward,
      .dropout = ref::dropout,
      .cross_entropy = ref::cross_entropy,
      .adamw = ref::adamw,
  };
  return table;
}

}  // namespace lathe::kernels
