// OLMo 2: norms on what the branches give, and on all queries and all keys at once.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps"},
    {"attention_bias", "attention_bias"},
};

constexpr WeightRule kNorms[] = {
    {"model.layers.{}.post_attention_layernorm", "layers.{}.attention_norm"},
    {"model.layers.{}.post_feedforward_layernorm", "layers.{}.ffn_norm"},
};

ModelConfig defaults() {
  ModelConfig c;
  c.norm.placement = "branch";
  c.attention.qk_norm = "full";
  return c;
}

}  // namespace

const Family& olmo2_family() {
  static const Family family = {
      .name = "olmo2",
      .architecture = "Olmo2ForCausalLM",
      .summary = "RMSNorm after each branch, rotary positions, normalised queries and keys, SwiGLU",
      .source = "OLMo 2025, arXiv:2501.00656",
      .defaults = defaults,
      .keys = {standard_keys(), kKeys},
      .hook_keys = {rope_keys()},
      .weights = {decoder_ends(), kNorms, split_attention(), split_gated_mlp()},
      .read = read_rope,
      .write = write_rope,
  };
  return family;
}

}  // namespace lathe
