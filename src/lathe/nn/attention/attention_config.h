// The section [model.attention] of a recipe.
#pragma once

#include <optional>
#include <string>

#include "lathe/config/component.h"

namespace lathe {

struct AttentionConfig : ComponentChoice {
  std::optional<bool> output_bias;  // default: attention_bias
  std::optional<double> scale;      // default: 1/sqrt(head_dim)
  std::string qk_norm = "none";
  std::optional<double> norm_eps;  // of norms inside the layer; default: norm.eps
  // strided_attention and fixed_attention layers, in blocks: kernels/attention/spec.h
  int64_t sparse_block = 1;
  std::optional<int64_t> sparse_stride;
  std::optional<int64_t> sparse_local;  // default: sparse_stride
  int64_t sparse_summary = 1;
  int64_t sink_tokens = 0;
  bool sink_logits = false;

  AttentionConfig();
  void visit(Visitor& v);
};

}  // namespace lathe
