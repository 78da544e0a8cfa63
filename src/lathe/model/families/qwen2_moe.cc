// Qwen1.5-MoE and Qwen2-MoE: Qwen2 with a mixture of experts and a shared expert behind a gate.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"qkv_bias", "attention_bias", nullptr, "true"},
    {"num_key_value_heads", "num_key_value_heads", nullptr, "16"},
    {"num_experts", "moe.num_experts", nullptr, "60"},
    {"shared_expert_intermediate_size", "moe.shared_expert_intermediate_size"},
};

constexpr WeightRule kExperts[] = {
    {"model.layers.{}.mlp.shared_expert.gate_proj", "layers.{}.ffn.shared.gate_up", 0},
    {"model.layers.{}.mlp.shared_expert.up_proj", "layers.{}.ffn.shared.gate_up", 1},
    {"model.layers.{}.mlp.shared_expert.down_proj", "layers.{}.ffn.shared.down"},
    {"model.layers.{}.mlp.shared_expert_gate", "layers.{}.ffn.shared_gate"},
};

ModelConfig defaults() {
  ModelConfig c = qwen2_family().defaults();
  c.moe.num_experts = 60;
  c.moe.num_experts_per_tok = 4;
  c.moe.norm_topk_prob = false;
  c.moe.moe_intermediate_size = 1408;
  c.moe.shared_expert_intermediate_size = 5632;
  c.moe.shared_expert_gate = true;
  return c;
}

// Unlike Qwen2 the first layers have the window, and of these every other.
void read(const Json& theirs, Json& ours) {
  read_windows(theirs, ours);
  if (!ours.contains("layer_types") || !first_of(theirs, {"layer_types"}).is_null()) return;
  const Json most = first_of(theirs, {"max_window_layers"});
  const int64_t windows = most.is_null() ? 28 : most.get<int64_t>();
  for (size_t i = 0; i < ours["layer_types"].size(); ++i)
    ours["layer_types"][i] =
        i % 2 == 0 && static_cast<int64_t>(i) < windows ? "sliding_attention" : "full_attention";
}

}  // namespace

const Family& qwen2_moe_family() {
  static const Family family = {
      .name = "qwen2_moe",
      .architecture = "Qwen2MoeForCausalLM",
      .summary = "Qwen2 with a mixture of experts and a gated shared expert",
      .source = "Yang et al. 2024, arXiv:2407.10671",
      .defaults = defaults,
      .keys = {standard_keys(), sparse_keys(), kKeys},
      .hook_keys = {window_keys()},
      .weights = {decoder_ends(), pre_norms(), split_attention(), split_gated_mlp(),
                  split_experts(), kExperts},
      .read = read,
      .write = write_windows,
  };
  return family;
}

}  // namespace lathe
