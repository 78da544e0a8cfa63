// Qwen 2 and 3, dense and with experts, and MiniMind 3.

#include "lathe/model/gguf/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace gguf;

constexpr GgufKey kSharedExpert[] = {
    {"expert_shared_feed_forward_length", "moe.shared_expert_intermediate_size"}};

constexpr WeightRule kSharedGate[] = {{"blk.{}.ffn_gate_inp_shexp", "layers.{}.ffn.shared_gate"}};

// MiniMind 3 computes what Qwen 3 does.
bool is_minimind_3(const ModelConfig& c) { return c.attention.qk_norm == "head"; }
bool is_dense_minimind(const ModelConfig& c) { return is_minimind_3(c) && !c.moe.enabled(); }
bool is_sparse_minimind(const ModelConfig& c) { return is_minimind_3(c) && c.moe.enabled(); }

// llama.cpp scales the weights of a token's experts to a sum of 1 in Qwen 3, not in Qwen 2.
template <bool kNormalised>
void read_experts(const GgufDescription& theirs, Json& ours) {
  ours["moe"]["norm_topk_prob"] = kNormalised;
  read_rope_scaling(theirs, ours);
}

}  // namespace

const GgufArchitecture& gguf_qwen2() {
  static const GgufArchitecture architecture = {
      .name = "qwen2",
      .families = {{qwen2_family}},
      .keys = {size_keys(), kv_head_keys(), head_width_keys(), rms_norm_keys(), rope_base_keys()},
      .weights = {ends(), block_norms(), attention(), gated_ffn()},
      .read = read_rope_scaling,
      .write = write_rope_scaling,
  };
  return architecture;
}

const GgufArchitecture& gguf_qwen3() {
  static const GgufArchitecture architecture = {
      .name = "qwen3",
      .families = {{qwen3_family}, {minimind_family, nullptr, is_dense_minimind}},
      .keys = {size_keys(), kv_head_keys(), head_width_keys(), rms_norm_keys(), rope_base_keys()},
      .weights = {ends(), block_norms(), attention(), gated_ffn()},
      .read = read_rope_scaling,
      .write = write_rope_scaling,
  };
  return architecture;
}

const GgufArchitecture& gguf_qwen2_moe() {
  static const GgufArchitecture architecture = {
      .name = "qwen2moe",
      .families = {{qwen2_moe_family}},
      .keys = {size_keys(), kv_head_keys(), head_width_keys(), rms_norm_keys(), rope_base_keys(),
               expert_keys(), expert_width_keys(), kSharedExpert},
      .weights = {ends(), block_norms(), attention(), gated_ffn(), experts(), shared_expert(),
                  kSharedGate},
      .read = read_experts<false>,
      .write = write_rope_scaling,
  };
  return architecture;
}

const GgufArchitecture& gguf_qwen3_moe() {
  static const GgufArchitecture architecture = {
      .name = "qwen3moe",
      .families = {{qwen3_moe_family}, {minimind_family, nullptr, is_sparse_minimind}},
      .keys = {size_keys(), kv_head_keys(), head_width_keys(), rms_norm_keys(), rope_base_keys(),
               expert_keys(), expert_width_keys()},
      .weights = {ends(), block_norms(), attention(), gated_ffn(), experts()},
      .read = read_experts<true>,
      .write = write_rope_scaling,
  };
  return architecture;
}

}  // namespace lathe
