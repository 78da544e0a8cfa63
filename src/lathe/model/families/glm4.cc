// GLM-4: a norm before and after every branch, interleaved rotary positions in half of the
// channels.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps"},
    {"attention_bias", "attention_bias"},
    {"num_key_value_heads", "num_key_value_heads", nullptr, "2"},
    {"head_dim", "head_dim", nullptr, "128"},
};

constexpr WeightRule kWeights[] = {
    {"model.layers.{}.input_layernorm", "layers.{}.attention_norm"},
    {"model.layers.{}.post_self_attn_layernorm", "layers.{}.attention_post_norm"},
    {"model.layers.{}.post_attention_layernorm", "layers.{}.ffn_norm"},
    {"model.layers.{}.post_mlp_layernorm", "layers.{}.ffn_post_norm"},
    {"model.layers.{}.mlp.gate_up_proj", "layers.{}.ffn.gate_up"},
    {"model.layers.{}.mlp.down_proj", "layers.{}.ffn.down"},
};

ModelConfig defaults() {
  ModelConfig c;
  c.norm.placement = "sandwich";
  c.norm.eps = 1.5625e-7;
  c.attention_bias = true;
  c.attention.output_bias = false;
  auto& rope = c.position.get<RopeConfig>();
  rope.rope_layout = "interleaved";
  rope.partial_rotary_factor = 0.5;
  return c;
}

}  // namespace

const Family& glm4_family() {
  static const Family family = {
      .name = "glm4",
      .architecture = "Glm4ForCausalLM",
      .summary = "sandwich RMSNorm, interleaved partial rotary positions, GQA, SwiGLU",
      .source = "GLM Team 2024, arXiv:2406.12793",
      .defaults = defaults,
      .keys = {standard_keys(), kKeys},
      .hook_keys = {rope_keys()},
      .weights = {decoder_ends(), split_attention(), kWeights},
      .read = read_partial_rope,
      .write = write_rope,
  };
  return family;
}

}  // namespace lathe
