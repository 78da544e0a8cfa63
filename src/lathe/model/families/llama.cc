// LLaMA 1 to 3 (Touvron et al. 2023, arXiv:2302.13971), and everything stored in its shape
// (SmolLM2 among them).

#include <nlohmann/json.hpp>

#include "lathe/model/family.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"attention_bias", "attention_bias"},
    {"mlp_bias", "mlp_bias"},
};

}  // namespace

std::span<const WeightRule> llama_weights() {
  static constexpr WeightRule kWeights[] = {
      {"model.embed_tokens", "embedding"},
      {"model.layers.{}.input_layernorm", "layers.{}.attention_norm"},
      {"model.layers.{}.self_attn.q_proj", "layers.{}.attention.qkv", 0},
      {"model.layers.{}.self_attn.k_proj", "layers.{}.attention.qkv", 1},
      {"model.layers.{}.self_attn.v_proj", "layers.{}.attention.qkv", 2},
      {"model.layers.{}.self_attn.o_proj", "layers.{}.attention.output"},
      {"model.layers.{}.post_attention_layernorm", "layers.{}.ffn_norm"},
      {"model.layers.{}.mlp.gate_proj", "layers.{}.ffn.gate_up", 0},
      {"model.layers.{}.mlp.up_proj", "layers.{}.ffn.gate_up", 1},
      {"model.layers.{}.mlp.down_proj", "layers.{}.ffn.down"},
      {"model.norm", "final_norm"},
      {"lm_head", "head"},
  };
  return kWeights;
}

const Family& llama_family() {
  static const Family family = {
      .name = "llama",
      .architecture = "LlamaForCausalLM",
      .summary = "RMSNorm, rotary positions, GQA, SwiGLU",
      .source = "Touvron et al. 2023, arXiv:2302.13971",
      .defaults = [] { return ModelConfig(); },
      .keys = {standard_keys(), kKeys},
      .weights = llama_weights(),
      .read = read_rope,
      .write = write_rope,
  };
  return family;
}

}  // namespace lathe
