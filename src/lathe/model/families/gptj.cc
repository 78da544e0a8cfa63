// GPT-J: attention and feed-forward side by side behind one norm, interleaved rotary positions in
// some of the channels, a bias in the head.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/model/families/shared.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"vocab_size", "vocab_size"},
    {"n_embd", "hidden_size"},
    {"n_layer", "num_hidden_layers"},
    {"n_head", "num_attention_heads"},
    {"n_positions", "max_position_embeddings"},
    {"n_inner", "intermediate_size"},
    {"activation_function", "hidden_act", &kGeluNewSpelling},
    {"layer_norm_epsilon", "norm.eps"},
    {"tie_word_embeddings", "tie_word_embeddings"},
    {"attn_pdrop", "attention_dropout"},
    {"resid_pdrop", "hidden_dropout"},
    {"embd_pdrop", "hidden_dropout"},
    {"initializer_range", "initializer_range"},
};

constexpr ConfigKey kOtherKeys[] = {{"hidden_size", "hidden_size"},
                                    {"num_hidden_layers", "num_hidden_layers"},
                                    {"num_attention_heads", "num_attention_heads"},
                                    {"max_position_embeddings", "max_position_embeddings"}};

constexpr FixedKey kFixed[] = {{"rotary", "true"}, {"scale_attn_weights", "true"}};

constexpr std::string_view kHookKeys[] = {"rotary_dim", "n_ctx"};

constexpr WeightRule kWeights[] = {
    {"transformer.wte", "embedding"},
    {"transformer.h.{}.ln_1", "layers.{}.attention_norm"},
    {"transformer.h.{}.attn.q_proj", "layers.{}.attention.qkv", 0},
    {"transformer.h.{}.attn.k_proj", "layers.{}.attention.qkv", 1},
    {"transformer.h.{}.attn.v_proj", "layers.{}.attention.qkv", 2},
    {"transformer.h.{}.attn.out_proj", "layers.{}.attention.output"},
    {"transformer.h.{}.mlp.fc_in", "layers.{}.ffn.up"},
    {"transformer.h.{}.mlp.fc_out", "layers.{}.ffn.down"},
    {"transformer.ln_f", "final_norm"},
    {"lm_head", "head"},
    {"lm_head.bias", "head_bias"},
};

ModelConfig defaults() {
  ModelConfig c = gpt2_family().defaults();
  c.position.kind = "rope";
  c.position.get<RopeConfig>().rope_layout = "interleaved";
  c.parallel_block = "shared_norm";
  c.attention_bias = false;
  c.tie_word_embeddings = false;
  c.lm_head_bias = true;
  c.max_position_embeddings = 2048;
  return c;
}

void read(const Json& theirs, Json& ours) {
  const auto width =
      ours.at("hidden_size").get<double>() / ours.at("num_attention_heads").get<double>();
  const Json rotary = theirs.value("rotary_dim", Json(64));
  require(rotary.is_number_integer(), ErrorKind::kConfig, "config.json",
          "rotary_dim is {}; only a given number of rotated channels is supported", rotary.dump());
  ours["position"]["partial_rotary_factor"] = rotary.get<double>() / width;
}

}  // namespace

const Family& gptj_family() {
  static const Family family = {
      .name = "gptj",
      .architecture = "GPTJForCausalLM",
      .summary = "parallel block, LayerNorm, interleaved partial rotary positions, MHA, GELU",
      .source = "Wang & Komatsuzaki 2021, GPT-J-6B",
      .defaults = defaults,
      .keys = {kKeys},
      .fixed = kFixed,
      .other_keys = kOtherKeys,
      .hook_keys = {kHookKeys},
      .weights = {kWeights},
      .read = read,
      .write =
          [](const ModelConfig& c, Json& theirs) {
            theirs["rotary_dim"] = c.position.get<RopeConfig>().rotary_width(c.head_width());
          },
  };
  return family;
}

}  // namespace lathe
