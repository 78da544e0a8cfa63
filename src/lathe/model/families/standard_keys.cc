// What most config.json files have in common: the keys of Llama and its successors, and rotary
// positions in the two ways in which transformers has spelled them.

#include <nlohmann/json.hpp>

#include "lathe/config/config.h"
#include "lathe/model/family.h"

namespace lathe {

using Json = nlohmann::ordered_json;

std::span<const ConfigKey> standard_keys() {
  static constexpr ConfigKey kKeys[] = {
      {"vocab_size", "vocab_size"},
      {"hidden_size", "hidden_size"},
      {"num_hidden_layers", "num_hidden_layers"},
      {"num_attention_heads", "num_attention_heads"},
      {"num_key_value_heads", "num_key_value_heads"},
      {"head_dim", "head_dim"},
      {"intermediate_size", "intermediate_size"},
      {"max_position_embeddings", "max_position_embeddings"},
      {"hidden_act", "hidden_act", &kActivationSpelling},
      {"tie_word_embeddings", "tie_word_embeddings"},
      {"attention_dropout", "attention_dropout"},
      {"initializer_range", "initializer_range"},
  };
  return kKeys;
}

namespace {

const Json* rope_block(const Json& theirs) {
  for (const char* key : {"rope_parameters", "rope_scaling"})
    if (const auto found = theirs.find(key); found != theirs.end() && found->is_object())
      return &*found;
  return nullptr;
}

// The keys of a rope block that have the same name in position.scaling.
constexpr std::string_view kScalingKeys[] = {
    "factor",           "original_max_position_embeddings",
    "low_freq_factor",  "high_freq_factor",
    "beta_fast",        "beta_slow",
    "attention_factor", "mscale",
    "mscale_all_dim",   "truncate",
    "short_factor",     "long_factor",
};

Json read_scaling(const Json& block, const std::string& type) {
  Json scaling = {{"kind", type}};
  for (std::string_view key : kScalingKeys)
    if (const auto found = block.find(key); found != block.end() && !found->is_null())
      scaling[std::string(key)] = *found;
  return scaling;
}

}  // namespace

void read_rope(const Json& theirs, Json& ours) {
  Json position = Json::object();
  for (const char* key : {"rope_theta", "partial_rotary_factor"})
    if (theirs.contains(key) && !theirs.at(key).is_null()) position[key] = theirs.at(key);
  if (const Json* block = rope_block(theirs)) {
    for (const char* key : {"rope_theta", "partial_rotary_factor"})
      if (block->contains(key)) position[key] = block->at(key);
    const auto type = block->value("rope_type", block->value("type", std::string("default")));
    if (type != "default") {
      position["scaling"] = read_scaling(*block, type);
      // Some keep the original length beside the block (Phi-3).
      const auto length = theirs.find("original_max_position_embeddings");
      if (length != theirs.end() && !length->is_null())
        position["scaling"]["original_max_position_embeddings"] = *length;
    }
  }
  if (!position.empty()) ours["position"].update(position);
}

void write_rope(const ModelConfig& c, Json& theirs) {
  const Json all = write_config(c)["position"];
  Json block = {{"rope_theta", c.position.rope_theta}};
  const std::string& kind = c.position.scaling.kind;
  block["rope_type"] = kind == "none" ? "default" : kind;
  if (c.position.partial_rotary_factor != 1.0)
    block["partial_rotary_factor"] = c.position.partial_rotary_factor;
  if (kind != "none")
    for (std::string_view key : kScalingKeys)
      if (all["scaling"].contains(key)) block[std::string(key)] = all["scaling"][std::string(key)];
  // Both spellings: rope_theta is read by older releases of transformers, rope_parameters by newer
  // ones.
  theirs["rope_theta"] = c.position.rope_theta;
  theirs["rope_parameters"] = block;
}

}  // namespace lathe
