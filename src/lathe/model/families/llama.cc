// LLaMA 1 to 3 without scaled rotary positions (Touvron et al. 2023, arXiv:2302.13971), and
// everything stored in its shape (SmolLM2 among them).

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/model/family.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

class Llama : public Family {
 public:
  std::string_view name() const override { return "llama"; }
  std::string_view architecture() const override { return "LlamaForCausalLM"; }
  std::string_view summary() const override { return "RMSNorm, rotary positions, GQA, SwiGLU"; }
  ModelConfig defaults() const override { return {}; }

  std::span<const KeyAlias> aliases() const override {
    static constexpr KeyAlias kAliases[] = {{"rms_norm_eps", "norm.eps"},
                                            {"rope_theta", "position.rope_theta"}};
    return kAliases;
  }

  ModelConfig read(const Json& json) const override {
    ModelConfig c;
    c.norm.eps = 1e-6;  // transformers' default when the key is absent
    read_common(json, c);
    if (json.contains("rms_norm_eps")) c.norm.eps = json.at("rms_norm_eps").get<double>();
    read_rope(json, c);
    return c;
  }

  bool can_express(const ModelConfig& c) const override {
    return c.norm.kind == "rms" && c.norm.placement == "pre" && !c.norm.bias && c.norm.final &&
           c.gated() && c.position.kind == "rope" && c.position.rope_layout == "half" &&
           has_json_activation(c.hidden_act);
  }

  Json write(const ModelConfig& c) const override {
    Json json = write_common(*this, c);
    json["num_key_value_heads"] = c.kv_heads();
    json["head_dim"] = c.head_width();
    json["rms_norm_eps"] = c.norm.eps;
    json["attention_bias"] = c.attention_bias;
    json["mlp_bias"] = c.mlp_bias;
    // Both spellings: rope_theta is read by older releases of transformers, rope_parameters by
    // newer ones.
    json["rope_theta"] = c.position.rope_theta;
    json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", c.position.rope_theta}};
    return json;
  }

  std::vector<WeightRule> weights(const ModelConfig& c) const override {
    const std::string layer = "model.layers.{}.";
    std::vector<WeightRule> rules = {
        {"model.embed_tokens.weight", "embedding.weight"},
        {layer + "input_layernorm.weight", "layers.{}.attention_norm.weight"},
        {layer + "post_attention_layernorm.weight", "layers.{}.ffn_norm.weight"},
        {"model.norm.weight", "final_norm.weight"},
    };
    auto projection = [&](const std::string& disk, const std::string& ours, int part, bool bias) {
      rules.push_back({layer + disk + ".weight", "layers.{}." + ours + ".weight", part});
      if (bias) rules.push_back({layer + disk + ".bias", "layers.{}." + ours + ".bias", part});
    };
    projection("self_attn.q_proj", "attention.qkv", 0, c.attention_bias);
    projection("self_attn.k_proj", "attention.qkv", 1, c.attention_bias);
    projection("self_attn.v_proj", "attention.qkv", 2, c.attention_bias);
    projection("self_attn.o_proj", "attention.output", -1, c.attention_bias);
    projection("mlp.gate_proj", "ffn.gate_up", 0, c.mlp_bias);
    projection("mlp.up_proj", "ffn.gate_up", 1, c.mlp_bias);
    projection("mlp.down_proj", "ffn.down", -1, c.mlp_bias);
    if (!c.tie_word_embeddings) rules.push_back({"lm_head.weight", "head.weight"});
    return rules;
  }

 private:
  static void read_common(const Json& json, ModelConfig& c);
  static void read_rope(const Json& json, ModelConfig& c);
  static Json write_common(const Family& family, const ModelConfig& c);
};

void Llama::read_common(const Json& json, ModelConfig& c) {
  c.vocab_size = json.at("vocab_size").get<int64_t>();
  c.hidden_size = json.at("hidden_size").get<int64_t>();
  c.num_hidden_layers = json.at("num_hidden_layers").get<int64_t>();
  c.num_attention_heads = json.at("num_attention_heads").get<int64_t>();
  c.intermediate_size = json.at("intermediate_size").get<int64_t>();
  auto number = [&](const char* key, std::optional<int64_t>& out) {
    if (json.contains(key) && json.at(key).is_number_integer()) out = json.at(key).get<int64_t>();
  };
  number("num_key_value_heads", c.num_key_value_heads);
  number("head_dim", c.head_dim);
  number("bos_token_id", c.bos_token_id);
  number("eos_token_id", c.eos_token_id);
  number("pad_token_id", c.pad_token_id);
  c.max_position_embeddings = json.value("max_position_embeddings", int64_t{2048});
  c.hidden_act = activation_from_json(json.value("hidden_act", std::string("silu")));
  c.tie_word_embeddings = json.value("tie_word_embeddings", false);
  c.attention_bias = json.value("attention_bias", false);
  c.mlp_bias = json.value("mlp_bias", false);
  c.attention_dropout = json.value("attention_dropout", 0.0);
  c.initializer_range = json.value("initializer_range", 0.02);
}

void Llama::read_rope(const Json& json, ModelConfig& c) {
  c.position.rope_theta = json.value("rope_theta", 10000.0);
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!json.contains(key) || !json.at(key).is_object()) continue;
    const Json& rope = json.at(key);
    const std::string type = rope.value("rope_type", rope.value("type", std::string("default")));
    require(type == "default", ErrorKind::kConfig, "config.json",
            "{}.rope_type is '{}'; only unscaled rotary positions ('default') are computed", key,
            type);
    c.position.rope_theta = rope.value("rope_theta", c.position.rope_theta);
  }
}

Json Llama::write_common(const Family& family, const ModelConfig& c) {
  Json json;
  json["architectures"] = {std::string(family.architecture())};
  json["model_type"] = std::string(family.name());
  json["vocab_size"] = c.vocab_size;
  json["hidden_size"] = c.hidden_size;
  json["num_hidden_layers"] = c.num_hidden_layers;
  json["num_attention_heads"] = c.num_attention_heads;
  json["intermediate_size"] = c.ffn_width();
  json["max_position_embeddings"] = c.max_position_embeddings;
  json["hidden_act"] = activation_to_json(c.hidden_act);
  json["tie_word_embeddings"] = c.tie_word_embeddings;
  json["attention_dropout"] = c.attention_dropout;
  json["initializer_range"] = c.initializer_range;
  return json;
}

}  // namespace

const Family& llama_family() {
  static const Llama family;
  return family;
}

}  // namespace lathe
