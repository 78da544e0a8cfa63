// Qwen3-MoE: Qwen3 with a mixture of experts.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"attention_bias", "attention_bias"},
    {"num_experts", "moe.num_experts"},
    {"num_local_experts", "moe.num_experts"},  // which wins
    {"num_key_value_heads", "num_key_value_heads", nullptr, "4"},
};

ModelConfig defaults() {
  ModelConfig c = qwen3_family().defaults();
  c.moe.num_experts = 128;
  c.moe.num_experts_per_tok = 8;
  c.moe.norm_topk_prob = false;
  c.moe.moe_intermediate_size = 768;
  return c;
}

// Every layer has the window, when it is used.
void read(const Json& theirs, Json& ours) {
  if (first_of(theirs, {"use_sliding_window"}) == true)
    ours["sliding_window"] = theirs.value("sliding_window", Json(4096));
  read_rope(theirs, ours);
}

void write(const ModelConfig& c, Json& theirs) {
  theirs["use_sliding_window"] = c.sliding_window.has_value();
  theirs["sliding_window"] = c.sliding_window ? Json(*c.sliding_window) : Json();
  write_rope(c, theirs);
}

}  // namespace

const Family& qwen3_moe_family() {
  static const Family family = {
      .name = "qwen3_moe",
      .architecture = "Qwen3MoeForCausalLM",
      .summary = "Qwen3 with a mixture of experts",
      .source = "Yang et al. 2025, arXiv:2505.09388",
      .defaults = defaults,
      .keys = {standard_keys(), sparse_keys(), kKeys},
      .hook_keys = {window_keys()},
      .weights = {decoder_ends(), pre_norms(), split_attention(), split_gated_mlp(),
                  split_experts()},
      .read = read,
      .write = write,
  };
  return family;
}

}  // namespace lathe
