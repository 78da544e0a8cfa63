// Gemma 2: a norm before and after every branch, soft caps, windows in every other layer.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"hidden_activation", "hidden_act", &kActivationSpelling, "\"gelu_tanh\""},
    {"num_key_value_heads", "num_key_value_heads", nullptr, "4"},
    {"head_dim", "head_dim", nullptr, "256"},
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"attention_bias", "attention_bias"},
    {"query_pre_attn_scalar", "attention.scale", &kInverseSqrtSpelling, "0.0625"},
    {"sliding_window", "sliding_window", nullptr, "4096"},
    {"attn_logit_softcapping", "attn_logit_softcapping", &kZeroIsNullSpelling, "50.0"},
    {"final_logit_softcapping", "final_logit_softcapping", &kZeroIsNullSpelling, "30.0"},
};

constexpr FixedKey kFixed[] = {{"use_bidirectional_attention", "false"}};

ModelConfig defaults() {
  ModelConfig c;
  c.norm.kind = "rms_offset";
  c.norm.placement = "sandwich";
  c.norm.eps = 1e-6;
  c.hidden_act = "gelu_tanh";
  c.tie_word_embeddings = true;
  c.scale_embedding = true;
  return c;
}

constexpr std::string_view kHookKeys[] = {"layer_types", "hidden_act"};

void read(const Json& theirs, Json& ours) {
  const Json types = first_of(theirs, {"layer_types"});
  ours["layer_types"] =
      types.is_null() ? alternating_layers(theirs.at("num_hidden_layers"), 2) : types;
  read_rope(theirs, ours);
}

void write(const ModelConfig& config, Json& theirs) {
  write_alternating(config, theirs);
  write_rope(config, theirs);
}

}  // namespace

std::span<const WeightRule> gemma_norms() {
  static constexpr WeightRule kWeights[] = {
      {"model.layers.{}.input_layernorm", "layers.{}.attention_norm"},
      {"model.layers.{}.post_attention_layernorm", "layers.{}.attention_post_norm"},
      {"model.layers.{}.pre_feedforward_layernorm", "layers.{}.ffn_norm"},
      {"model.layers.{}.post_feedforward_layernorm", "layers.{}.ffn_post_norm"},
  };
  return kWeights;
}

const Family& gemma2_family() {
  static const Family family = {
      .name = "gemma2",
      .architecture = "Gemma2ForCausalLM",
      .summary = "sandwich RMSNorm, rotary positions, GQA, GeGLU, soft caps, alternating windows",
      .source = "Gemma Team 2024, arXiv:2408.00118",
      .defaults = defaults,
      .keys = {standard_keys(), kKeys},
      .fixed = kFixed,
      .hook_keys = {rope_keys(), kHookKeys},
      .weights = {decoder_ends(), gemma_norms(), split_attention(), split_gated_mlp()},
      .read = read,
      .write = write,
  };
  return family;
}

}  // namespace lathe
