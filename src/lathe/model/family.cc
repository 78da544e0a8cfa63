#include "lathe/model/family.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "lathe/base/catalogue.h"
#include "lathe/config/read_write.h"

namespace lathe {

using Json = nlohmann::ordered_json;

std::span<const Family* const> families() {
  static const Family* const kFamilies[] = {
      &llama_family(),     &gpt2_family(),      &gpt_neo_family(),     &gptj_family(),
      &gpt_neox_family(),  &opt_family(),       &bloom_family(),       &falcon_family(),
      &mistral_family(),   &mixtral_family(),   &qwen2_family(),       &qwen3_family(),
      &qwen2_moe_family(), &qwen3_moe_family(), &deepseek_v2_family(), &deepseek_v3_family(),
      &gemma2_family(),    &gemma3_family(),    &phi3_family(),        &olmo2_family(),
      &cohere_family(),    &glm4_family(),      &chatglm_family(),     &t5_family(),
      &switch_family(),    &bert_family(),      &minimind_family(),    &lathe_family(),
  };
  return kFamilies;
}

std::vector<std::string> family_names() { return names_of(families()); }

const Family& find_family(std::string_view model_type) {
  return find_in(families(), "model_type", model_type);
}

const Family& family_for(const ModelConfig& config) {
  const Family& own = find_family(config.model_type);
  if (can_express(own, config)) return own;
  for (const Family* f : families())
    if (can_express(*f, config)) return *f;
  return lathe_family();
}

Json& at_path(Json& tree, std::string_view path) {
  Json* at = &tree;
  for (size_t dot; (dot = path.find('.')) != std::string_view::npos; path.remove_prefix(dot + 1))
    at = &(*at)[std::string(path.substr(0, dot))];
  return (*at)[std::string(path)];
}

namespace {

template <class F>
void for_each_key(const Family& family, F&& f) {
  for (const auto& table : family.keys)
    for (const ConfigKey& key : table) f(key);
}

void read_key(const ConfigKey& key, const Json& theirs, Json& ours) {
  const auto found = theirs.find(key.theirs);
  if (found == theirs.end()) {
    if (!key.absent.empty()) at_path(ours, key.ours) = Json::parse(key.absent);
  } else if (!found->is_null()) {
    at_path(ours, key.ours) = key.spelling != nullptr ? key.spelling->read(*found) : *found;
  }
}

void check_fixed(const Family& family, const Json& theirs) {
  for (const FixedKey& key : family.fixed) {
    const auto found = theirs.find(key.theirs);
    if (found == theirs.end() || found->is_null()) continue;
    require(*found == Json::parse(key.value), ErrorKind::kConfig, "config.json",
            "{} is {}; for {} models only {} is supported", key.theirs, found->dump(), family.name,
            key.value);
  }
}

// A number, or a list: the first of it, and where they end a text all others beside it.
void read_special_ids(const Json& theirs, Json& ours) {
  for (const auto& [key, member] : kSpecialIds) {
    const auto found = theirs.find(key);
    if (found == theirs.end() || found->is_null()) continue;
    std::vector<int64_t> ids;
    for (const Json& id : found->is_array() ? *found : Json::array({*found}))
      if (id.is_number_integer() && id >= 0) ids.push_back(id.get<int64_t>());
    ours.erase(key);
    if (ids.empty()) continue;
    ours[key] = ids.front();
    if (member == &ModelConfig::eos_token_id && ids.size() > 1)
      ours["other_eos_token_ids"] = std::vector<int64_t>(ids.begin() + 1, ids.end());
  }
}

// Both have their scores in a matrix in the head's place. That of a token classifier has a bias; that of an encoder
// always has one, and a sequence classifier has a pooler before it.
constexpr std::string_view kClassifier = "ForSequenceClassification",
                           kTokenClassifier = "ForTokenClassification", kWithoutHead = "Model";

// The name of transformers' class; empty where the file does not say it.
std::string class_in(const Json& theirs) {
  const Json classes = theirs.value("architectures", Json());
  if (!classes.is_array() || classes.empty() || !classes[0].is_string()) return {};
  return classes[0].get<std::string>();
}

// The class names the kind of a model, and its labels are named: they are two unless the file says so.
// This program's own files have it all among their keys.
void read_labels(const Family& family, const Json& theirs, Json& ours) {
  const std::string name = class_in(theirs);
  const bool of_tokens = name.ends_with(kTokenClassifier);
  if (family.keys.empty() || (!name.ends_with(kClassifier) && !of_tokens)) return;
  const bool encoder = family.defaults().body == "encoder";
  ours["lm_head_bias"] = of_tokens || encoder;
  if (encoder) {
    ours["head_transform"] = false;
    ours["pooler"] = !of_tokens;
  }
  const Json names = theirs.value("id2label", Json());
  ours["num_labels"] = names.is_object() ? static_cast<int64_t>(names.size()) : 2;
}

// "Llama" of "LlamaForCausalLM": what transformers' names of the family's classes begin with.
std::string stem_of(const Family& family) {
  const std::string_view name = family.architecture;
  for (const std::string_view task : {"ForCausalLM", "LMHeadModel", "ForMaskedLM"})
    if (name.ends_with(task)) return std::string(name.substr(0, name.size() - task.size()));
  return {};
}

// "BertModel": the class of a model without a head. Decoders with a tied one are often saved so, too, and lose
// nothing, because their head is the token table.
void read_headless(const Family& family, const Json& theirs, ModelConfig& config) {
  const std::string stem = stem_of(family);
  if (family.keys.empty() || stem.empty() || class_in(theirs) != stem + std::string(kWithoutHead))
    return;
  if (config.body_traits().causal && config.tie_word_embeddings) return;
  config.lm_head = config.tie_word_embeddings = config.scale_tied_head = false;
  config.lm_head_bias = config.head_transform = false;
}

// "LlamaForCausalLM"; for a model with labels "LlamaForSequenceClassification", or with a bias
// "LlamaForTokenClassification"; without a head "LlamaModel".
std::string architecture_of(const Family& family, const ModelConfig& config) {
  const std::string stem = stem_of(family);
  if (stem.empty() || (config.num_labels == 0 && config.lm_head))
    return std::string(family.architecture);
  if (!config.lm_head) return stem + std::string(kWithoutHead);
  const bool of_tokens = config.lm_head_bias && !config.pooler;
  return stem + std::string(of_tokens ? kTokenClassifier : kClassifier);
}

// Which tokens a layer sees is said by layer_types in every family; where only some read it, the
// others must not pass over a list that says something else than what they compute.
void check_layer_types(const Family& family, const Json& theirs, const ModelConfig& config) {
  const auto found = theirs.find("layer_types");
  if (found == theirs.end() || found->is_null() || family.keys.empty()) return;
  require(found->is_array() && static_cast<int64_t>(found->size()) == config.num_hidden_layers,
          ErrorKind::kConfig, "config.json",
          "layer_types has {} entries for {} layers (num_hidden_layers); give one for each",
          found->is_array() ? found->size() : 0, config.num_hidden_layers);
  std::vector<std::string> computed = resolved(config).layer_types;
  computed.resize(found->size());
  require(*found == Json(computed), ErrorKind::kConfig, "config.json",
          "layer_types is {}, but according to the other keys of this {} model it should be {}; "
          "correct the keys that disagree (layer_types, sliding_window, use_sliding_window)",
          found->dump(), family.name, Json(computed).dump());
}

bool is_true(const Json& object, const char* key) {
  return object.contains(key) && object[key] == true;
}

}  // namespace

bool is_bitsandbytes(const Json& theirs) {
  const auto found = theirs.find("quantization_config");
  if (found == theirs.end() || found->is_null() || found->empty()) return false;
  // Older files say it by the first two alone.
  const bool implied = is_true(*found, "load_in_4bit") || is_true(*found, "load_in_8bit");
  const Json method = found->value("quant_method", Json(implied ? "bitsandbytes" : ""));
  require(method == "bitsandbytes", ErrorKind::kConfig, "config.json",
          "the weights are quantised by the method {} (quantization_config), expected none or "
          "\"bitsandbytes\"; use the folder from which they were quantised, or a GGUF file of it",
          method.dump());
  return true;
}

void drop_what_does_not_compute(Json& config) {
  for (const auto& [key, member] : kSpecialIds) config.erase(key);
  for (const char* key : {"other_eos_token_ids", "attention_dropout", "hidden_dropout",
                          "initializer_range", "scale_residual_init"})
    config.erase(key);
  for (const char* key :
       {"router_aux_loss_coef", "router_z_loss_coef", "balance_per_sequence", "bias_update_rate",
        "capacity_factor", "router_jitter_noise", "jitter_experts", "allow_non_causal"})
    config["moe"].erase(key);
}

ModelConfig default_config(const Family& family) {
  ModelConfig config = family.defaults();
  config.model_type = std::string(family.name);
  return config;
}

ModelConfig read_family_config(const Family& family, const Json& json) {
  check_fixed(family, json);
  is_bitsandbytes(json);  // or it throws
  Json ours = Json::object();
  for_each_key(family, [&](const ConfigKey& key) { read_key(key, json, ours); });
  for (const ConfigKey& key : family.other_keys) read_key(key, json, ours);
  if (family.read != nullptr) family.read(json, ours);
  read_special_ids(json, ours);
  read_labels(family, json, ours);
  ModelConfig config = default_config(family);
  read_config(config, ours, "config.json");
  config.model_type = std::string(family.name);
  read_headless(family, json, config);
  check_layer_types(family, json, config);
  return config;
}

Json write_family_config(const Family& family, const ModelConfig& config) {
  Json full = write_config(resolved(config));
  Json json;
  json["architectures"] = {architecture_of(family, config)};
  json["model_type"] = std::string(family.name);
  for (const FixedKey& key : family.fixed) json[std::string(key.theirs)] = Json::parse(key.value);
  for_each_key(family, [&](const ConfigKey& key) {
    const Json& value = at_path(full, key.ours);
    json[std::string(key.theirs)] =
        key.spelling != nullptr && !value.is_null() ? key.spelling->write(value) : value;
  });
  if (family.write != nullptr) family.write(config, json);
  for (int64_t label = 0; label < config.num_labels; ++label)
    json["id2label"][fmt::format("{}", label)] = fmt::format("LABEL_{}", label);
  return json;
}

bool can_express(const Family& family, const ModelConfig& config) {
  // A family of transformers has one body, which its keys do not mention.
  if (!family.keys.empty() && family.defaults().body != config.body) return false;
  Json wanted = write_config(resolved(config)), back;
  try {
    back = write_config(resolved(read_family_config(family, write_family_config(family, config))));
  } catch (const Error&) {  // it has no word for something, and refuses what stands there instead
    return false;
  }
  drop_what_does_not_compute(wanted);
  drop_what_does_not_compute(back);
  return wanted == back;
}

Json rename_keys(const Family& family, const Json& section) {
  Json renamed = Json::object();
  const auto put = [&](std::string_view ours, const Json& value) {
    Json& at = at_path(renamed, ours);
    if (value.is_object() && at.is_object()) {
      at.update(value);
    } else {
      at = value;
    }
  };
  // In the order of the table: a key may stand for several of ours, and a later one say otherwise.
  std::set<std::string_view> theirs;
  for_each_key(family, [&](const ConfigKey& key) {
    const auto found = section.find(key.theirs);
    if (found == section.end() || key.theirs == key.ours) return;
    theirs.insert(key.theirs);
    put(key.ours, key.spelling != nullptr ? key.spelling->read(*found) : *found);
  });
  for (const auto& [name, value] : section.items())
    if (!theirs.contains(name)) put(name, value);
  return renamed;
}

}  // namespace lathe
