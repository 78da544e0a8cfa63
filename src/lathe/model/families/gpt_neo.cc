// GPT-Neo: GPT-2 with windows in every other layer, unscaled scores, and dense weights stored
// [outputs, inputs].

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"vocab_size", "vocab_size"},
    {"hidden_size", "hidden_size"},
    {"num_layers", "num_hidden_layers"},
    {"num_heads", "num_attention_heads"},
    {"max_position_embeddings", "max_position_embeddings"},
    {"intermediate_size", "intermediate_size"},
    {"activation_function", "hidden_act", &kGeluNewSpelling},
    {"layer_norm_epsilon", "norm.eps"},
    {"tie_word_embeddings", "tie_word_embeddings"},
    {"attention_dropout", "attention_dropout"},
    {"resid_dropout", "hidden_dropout"},
    {"embed_dropout", "hidden_dropout"},
    {"initializer_range", "initializer_range"},
};

constexpr ConfigKey kOtherKeys[] = {{"num_hidden_layers", "num_hidden_layers"},
                                    {"num_attention_heads", "num_attention_heads"}};

constexpr std::string_view kHookKeys[] = {"attention_types", "attention_layers", "window_size"};

constexpr WeightRule kWeights[] = {
    {"transformer.wte", "embedding"},
    {"transformer.wpe", "position"},
    {"transformer.h.{}.ln_1", "layers.{}.attention_norm"},
    {"transformer.h.{}.attn.attention.q_proj", "layers.{}.attention.qkv", 0},
    {"transformer.h.{}.attn.attention.k_proj", "layers.{}.attention.qkv", 1},
    {"transformer.h.{}.attn.attention.v_proj", "layers.{}.attention.qkv", 2},
    {"transformer.h.{}.attn.attention.out_proj", "layers.{}.attention.output"},
    {"transformer.h.{}.ln_2", "layers.{}.ffn_norm"},
    {"transformer.h.{}.mlp.c_fc", "layers.{}.ffn.up"},
    {"transformer.h.{}.mlp.c_proj", "layers.{}.ffn.down"},
    {"transformer.ln_f", "final_norm"},
    {"lm_head", "head"},
};

ModelConfig defaults() {
  ModelConfig c = gpt2_family().defaults();
  c.attention_bias = false;
  c.attention.output_bias = true;
  c.attention.scale = 1.0;
  c.max_position_embeddings = 2048;
  return c;
}

constexpr size_t kMostLayers = size_t{1} << 16;

constexpr std::string_view kFull = "full_attention", kSliding = "sliding_attention";

std::string_view layer_type_of(const std::string& kind) {
  require(kind == "global" || kind == "local", ErrorKind::kConfig, "config.json",
          "attention_types has '{}', expected 'global' or 'local'", kind);
  return kind == "local" ? kSliding : kFull;
}

// [[["global", "local"], 12]]: the pattern and how often it is repeated.
void read(const Json& theirs, Json& ours) {
  static const Json kUsual = Json::parse(R"([[["global", "local"], 12]])");
  const Json given = first_of(theirs, {"attention_types"});
  const auto layers = ours.value("num_hidden_layers", int64_t{0});
  ours["sliding_window"] = theirs.value("window_size", int64_t{256});
  Json& types = ours["layer_types"] = Json::array();
  for (const Json& item : given.is_null() ? kUsual : given)
    for (int64_t i = 0; i < item.at(1).get<int64_t>() && types.size() <= kMostLayers; ++i)
      for (const Json& kind : item.at(0)) types.push_back(layer_type_of(kind.get<std::string>()));
  require(static_cast<int64_t>(types.size()) == layers, ErrorKind::kConfig, "config.json",
          "attention_types describes {} layers, but num_layers is {}; correct one of them",
          types.size(), layers);
}

void write(const ModelConfig& config, Json& theirs) {
  const ModelConfig c = resolved(config);
  Json kinds = Json::array();
  for (const std::string& type : c.layer_types)
    kinds.push_back(type == kSliding ? "local" : "global");
  Json once = Json::array();
  once.push_back(kinds);
  once.push_back(1);
  theirs["attention_types"] = Json::array();
  theirs["attention_types"].push_back(once);
  theirs["window_size"] = c.sliding_window.value_or(256);
}

}  // namespace

const Family& gpt_neo_family() {
  static const Family family = {
      .name = "gpt_neo",
      .architecture = "GPTNeoForCausalLM",
      .summary = "LayerNorm, learned positions, MHA with alternating windows, GELU",
      .source = "Black et al. 2021, GPT-Neo",
      .defaults = defaults,
      .keys = {kKeys},
      .other_keys = kOtherKeys,
      .hook_keys = {kHookKeys},
      .weights = {kWeights},
      .read = read,
      .write = write,
  };
  return family;
}

}  // namespace lathe
