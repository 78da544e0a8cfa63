// GPT-2 (Radford et al. 2019). Its dense weights are stored [inputs, outputs], and query, key and
// value are one matrix already.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/model/family.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

class Gpt2 : public Family {
 public:
  std::string_view name() const override { return "gpt2"; }
  std::string_view architecture() const override { return "GPT2LMHeadModel"; }
  std::string_view summary() const override {
    return "LayerNorm, learned positions, MHA, GELU, biases";
  }
  std::string_view optional_prefix() const override { return "transformer."; }

  ModelConfig defaults() const override {
    ModelConfig c;
    c.model_type = "gpt2";
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

  std::span<const KeyAlias> aliases() const override {
    static constexpr KeyAlias kAliases[] = {
        {"n_embd", "hidden_size"},           {"n_layer", "num_hidden_layers"},
        {"n_head", "num_attention_heads"},   {"n_positions", "max_position_embeddings"},
        {"n_inner", "intermediate_size"},    {"layer_norm_epsilon", "norm.eps"},
        {"attn_pdrop", "attention_dropout"}, {"resid_pdrop", "hidden_dropout"},
    };
    return kAliases;
  }

  ModelConfig read(const Json& json) const override {
    ModelConfig c = defaults();
    c.vocab_size = json.at("vocab_size").get<int64_t>();
    c.hidden_size = json.at("n_embd").get<int64_t>();
    c.num_hidden_layers = json.at("n_layer").get<int64_t>();
    c.num_attention_heads = json.at("n_head").get<int64_t>();
    c.max_position_embeddings = json.at("n_positions").get<int64_t>();
    if (json.contains("n_inner") && json.at("n_inner").is_number_integer())
      c.intermediate_size = json.at("n_inner").get<int64_t>();
    c.hidden_act = activation_from_json(json.value("activation_function", std::string("gelu_new")));
    c.norm.eps = json.value("layer_norm_epsilon", 1e-5);
    c.tie_word_embeddings = json.value("tie_word_embeddings", true);
    c.attention_dropout = json.value("attn_pdrop", 0.1);
    c.hidden_dropout = json.value("resid_pdrop", 0.1);
    c.initializer_range = json.value("initializer_range", 0.02);
    for (auto [key, out] : {std::pair{"bos_token_id", &c.bos_token_id},
                            {"eos_token_id", &c.eos_token_id},
                            {"pad_token_id", &c.pad_token_id}})
      if (json.contains(key) && json.at(key).is_number_integer())
        *out = json.at(key).get<int64_t>();
    require(
        json.value("scale_attn_weights", true) &&
            !json.value("scale_attn_by_inverse_layer_idx", false),
        ErrorKind::kConfig, "config.json",
        "only scale_attn_weights = true and scale_attn_by_inverse_layer_idx = false are computed");
    return c;
  }

  bool can_express(const ModelConfig& c) const override {
    return c.norm.kind == "layer" && c.norm.placement == "pre" && c.norm.bias && c.norm.final &&
           !c.gated() && c.position.kind == "learned" && c.attention_bias && c.mlp_bias &&
           c.kv_heads() == c.num_attention_heads &&
           c.head_width() * c.num_attention_heads == c.hidden_size &&
           has_json_activation(c.hidden_act);
  }

  Json write(const ModelConfig& c) const override {
    Json json;
    json["architectures"] = {std::string(architecture())};
    json["model_type"] = std::string(name());
    json["vocab_size"] = c.vocab_size;
    json["n_embd"] = c.hidden_size;
    json["n_layer"] = c.num_hidden_layers;
    json["n_head"] = c.num_attention_heads;
    json["n_positions"] = c.max_position_embeddings;
    json["n_inner"] = c.ffn_width() == 4 * c.hidden_size ? Json() : Json(c.ffn_width());
    json["activation_function"] =
        c.hidden_act == "gelu_tanh" ? std::string("gelu_new") : activation_to_json(c.hidden_act);
    json["layer_norm_epsilon"] = c.norm.eps;
    json["tie_word_embeddings"] = c.tie_word_embeddings;
    json["attn_pdrop"] = c.attention_dropout;
    json["resid_pdrop"] = c.hidden_dropout;
    json["embd_pdrop"] = c.hidden_dropout;
    json["initializer_range"] = c.initializer_range;
    return json;
  }

  std::vector<WeightRule> weights(const ModelConfig& c) const override {
    std::vector<WeightRule> rules = {
        {"transformer.wte.weight", "embedding.weight"},
        {"transformer.wpe.weight", "position.weight"},
        {"transformer.ln_f.weight", "final_norm.weight"},
        {"transformer.ln_f.bias", "final_norm.bias"},
    };
    const std::string theirs = "transformer.h.{}.", ours = "layers.{}.";
    for (const auto& [disk, parameter] :
         {std::pair{"ln_1", "attention_norm"}, {"ln_2", "ffn_norm"}})
      for (const char* leaf : {".weight", ".bias"})
        rules.push_back({theirs + disk + leaf, ours + parameter + leaf});
    for (const auto& [disk, parameter] : {std::pair{"attn.c_attn", "attention.qkv"},
                                          {"attn.c_proj", "attention.output"},
                                          {"mlp.c_fc", "ffn.up"},
                                          {"mlp.c_proj", "ffn.down"}}) {
      rules.push_back({theirs + disk + ".weight", ours + parameter + ".weight", -1, true});
      rules.push_back({theirs + disk + ".bias", ours + parameter + ".bias"});
    }
    if (!c.tie_word_embeddings) rules.push_back({"lm_head.weight", "head.weight"});
    return rules;
  }
};

}  // namespace

const Family& gpt2_family() {
  static const Gpt2 family;
  return family;
}

}  // namespace lathe
