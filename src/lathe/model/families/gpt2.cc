// GPT-2. Its dense weights are stored [inputs, outputs], and query, key and value are one matrix
// already.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"vocab_size", "vocab_size"},
    {"n_embd", "hidden_size"},
    {"n_layer", "num_hidden_layers"},
    {"n_head", "num_attention_heads"},
    {"n_positions", "max_position_embeddings"},
    {"n_inner", "intermediate_size"},
    {"activation_function", "hidden_act", &kGeluNewSpelling, "\"gelu_tanh\""},
    {"layer_norm_epsilon", "norm.eps"},
    {"tie_word_embeddings", "tie_word_embeddings"},
    {"attn_pdrop", "attention_dropout", nullptr, "0.1"},
    {"resid_pdrop", "hidden_dropout", nullptr, "0.1"},
    {"initializer_range", "initializer_range"},
};

constexpr FixedKey kFixed[] = {
    {"scale_attn_weights", "true"},
    {"scale_attn_by_inverse_layer_idx", "false"},
    {"add_cross_attention", "false"},
};

constexpr ConfigKey kOtherKeys[] = {{"hidden_size", "hidden_size"},
                                    {"num_hidden_layers", "num_hidden_layers"},
                                    {"num_attention_heads", "num_attention_heads"},
                                    {"max_position_embeddings", "max_position_embeddings"}};

constexpr std::string_view kHookKeys[] = {"n_ctx"};  // n_positions under its first name

constexpr auto kTransposed = DiskLayout::kTransposed;
constexpr WeightRule kWeights[] = {
    {"transformer.wte", "embedding"},
    {"transformer.wpe", "position"},
    {"transformer.h.{}.ln_1", "layers.{}.attention_norm"},
    {"transformer.h.{}.attn.c_attn", "layers.{}.attention.qkv", -1, kTransposed},
    {"transformer.h.{}.attn.c_proj", "layers.{}.attention.output", -1, kTransposed},
    {"transformer.h.{}.ln_2", "layers.{}.ffn_norm"},
    {"transformer.h.{}.mlp.c_fc", "layers.{}.ffn.up", -1, kTransposed},
    {"transformer.h.{}.mlp.c_proj", "layers.{}.ffn.down", -1, kTransposed},
    {"transformer.ln_f", "final_norm"},
    {"lm_head", "head"},
};

ModelConfig defaults() {
  ModelConfig c;
  c.norm.kind = "layer";
  c.norm.bias = true;
  c.position.kind = "learned";
  c.ffn.kind = "mlp";
  c.hidden_act = "gelu_tanh";
  c.attention_bias = c.mlp_bias = true;
  c.tie_word_embeddings = true;
  c.max_position_embeddings = 1024;
  return c;
}

}  // namespace

const Family& gpt2_family() {
  static const Family family = {
      .name = "gpt2",
      .architecture = "GPT2LMHeadModel",
      .summary = "LayerNorm, learned positions, MHA, GELU, biases",
      .source = "Radford et al. 2019",
      .defaults = defaults,
      .keys = {kKeys},
      .fixed = kFixed,
      .other_keys = kOtherKeys,
      .hook_keys = {kHookKeys},
      .weights = {kWeights},
      .write = [](const ModelConfig& c,
                  nlohmann::ordered_json& theirs) { theirs["embd_pdrop"] = c.hidden_dropout; },
  };
  return family;
}

}  // namespace lathe
