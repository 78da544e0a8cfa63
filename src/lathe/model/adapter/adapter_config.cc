#include "lathe/model/adapter/adapter_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/read_write.h"
#include "lathe/io/json_file.h"
#include "lathe/model/adapter/adalora.h"
#include "lathe/model/adapter/module_adapter.h"
#include "lathe/model/adapter/prompt_encoder.h"
#include "lathe/text/split/regex.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kHighestRank = 1 << 16;
constexpr size_t kMostPatterns = 10'000;

// What only training reads, what follows from the names of the tensors, and what PEFT notes about
// itself.
constexpr std::string_view kNotNeeded[] = {
    "alora_invocation_string",
    "auto_mapping",
    "conv_bias",
    "corda_config",
    "coft",
    "eps",
    "encoder_dropout",
    "eva_config",
    "fan_in_fan_out",
    "inference_mode",
    "init_ia3_weights",
    "loftq_config",
    "lora_ga_config",
    "megatron_core",
    "miss_dropout",
    "module_dropout",
    "num_attention_heads",
    "num_layers",
    "num_transformer_submodules",
    "peft_version",
    "projection_prng_key",
    "prompt_tuning_init_text",
    "qalora_group_size",
    "rank_dropout",
    "rank_dropout_scale",
    "revision",
    "runtime_config",
    "save_projection",
    "token_dim",
    "tokenizer_kwargs",
    "tokenizer_name_or_path",
    "use_effective_conv2d",
    "vera_dropout",
};

struct Unsupported {
  std::string_view key, what;
};
// Options that change what is computed; each must be off.
constexpr Unsupported kUnsupported[] = {
    {"layer_replication", "layers that are repeated"},
    {"use_qalora", "QALoRA"},
    {"use_bdlora", "block-diagonal LoRA"},
    {"alora_invocation_tokens", "an adapter that only acts behind certain tokens"},
    {"arrow_config", "a router between adapters"},
    {"kasa_config", "KaSA"},
    {"velora_config", "VeLoRA"},
    {"monteclora_config", "MonteCLoRA"},
    {"megatron_config", "parallel layers of Megatron"},
};
// Beginnings of LoRA that change the base: what was saved with them acts on another one.
constexpr std::string_view kChangesBase[] = {"pissa", "olora", "corda", "loftq", "lora_ga"};

bool is_off(const Json& value) {
  return value.is_null() || value == false || (value.is_structured() && value.empty());
}

// A "key=value" entry of a pattern.
struct Entry {
  std::string pattern, value;
};
Entry entry_of(const std::string& text) {
  const size_t at = text.rfind('=');
  require(at != std::string::npos && at > 0 && at + 1 < text.size(), ErrorKind::kConfig, "adapter",
          "'{}' is not a pattern and its value; write it as \"q_proj=4\"", text);
  return {text.substr(0, at), text.substr(at + 1)};
}

bool matches(const std::string& pattern, std::string_view module) {
  bool whole = false;
  Regex("\\A(?:.*\\.)?(?:" + pattern + ")\\z", "adapter")
      .for_each_match(module, [&](size_t begin, size_t end) {
        whole = whole || (begin == 0 && end == module.size());
      });
  return whole;
}

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool ok = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  return ok && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

}  // namespace

AdapterConfig::AdapterConfig() : modules(module_adapters()), prompts(prompt_encoders()) {}

std::vector<std::string> adapter_kinds() {
  std::vector<std::string> all = names_of(module_adapters());
  for (const std::string& name : names_of(prompt_encoders())) all.push_back(name);
  all.emplace_back(kNormTuning);
  return all;
}

void AdapterConfig::visit(Visitor& v) {
  v.choice("peft_type", peft_type, adapter_kinds(), "the kind of adapter");
  v.field("base_model_name_or_path", base_model_name_or_path, "the model that it is for");
  v.field("task_type", task_type, "PEFT's name of the task: CAUSAL_LM, SEQ_2_SEQ_LM");
  v.field("target_modules", target_modules,
          "modules by the end of their names, a regular expression for whole names, or all-linear: "
          "the linear layers but the head and stacked experts");
  v.field("exclude_modules", exclude_modules, "modules that are left alone, named in the same way");
  v.field("layers_to_transform", layers_to_transform, "only in these layers, counted from 0",
          at_least(0));
  v.field("layers_pattern", layers_pattern,
          "what stands before the number of a layer; default: the first number in a name");
  v.field("target_parameters", target_parameters,
          "parameters by the end of their names: stacked matrices of experts, routers");
  v.field("modules_to_save", modules_to_save, "modules that are trained as a whole");
  v.field("trainable_token_indices", trainable_token_indices,
          "rows of the token table that are trained", at_least(0));
  v.choice("bias", bias, {"none", "all", "lora_only"}, "biases that are trained");
  v.field("ensure_weight_tying", ensure_weight_tying,
          "a token table in modules_to_save is the tied head's, too");
  v.field("r", r, "rank; for OFT: blocks of a module; default: the kind's",
          between(0, static_cast<double>(kHighestRank)));
  v.field("lora_alpha", lora_alpha, "LoRA, AdaLoRA: ΔW is multiplied by lora_alpha / r");
  v.field("alpha", alpha, "LoHa, LoKr: ΔW is multiplied by alpha / r");
  v.field("rank_pattern", rank_pattern, "ranks of some modules, as \"REGEX=RANK\"");
  v.field("alpha_pattern", alpha_pattern, "alphas of some modules, as \"REGEX=ALPHA\"");
  v.choice("init_weights", init_weights, {"true", "mini", "bat"},
           "MiSS: mini has numbers for mini_r outputs only, which repeat");
  v.field("num_virtual_tokens", num_virtual_tokens, "tokens before the text",
          between(1, static_cast<double>(kHighestRank)));
  v.field("encoder_hidden_size", encoder_hidden_size,
          "width of the network that makes vectors; default: the model's", at_least(1));
  modules.visit(v);
  prompts.visit(v);
}

bool AdapterConfig::is_prompt() const {
  const auto names = names_of(prompt_encoders());
  return std::ranges::find(names, peft_type) != names.end();
}

int64_t AdapterConfig::rank_of(std::string_view module, int64_t usual) const {
  for (const std::string& each : rank_pattern) {
    const Entry entry = entry_of(each);
    if (!matches(entry.pattern, module)) continue;
    if (peft_type == "ADALORA") return std::ranges::count(entry.value, '1');
    return static_cast<int64_t>(number_of(entry.value).value_or(0));
  }
  return usual;
}

double AdapterConfig::alpha_of(std::string_view module, double usual) const {
  for (const std::string& each : alpha_pattern)
    if (const Entry entry = entry_of(each); matches(entry.pattern, module))
      return number_of(entry.value).value_or(usual);
  return usual;
}

void check(const AdapterConfig& config, std::string_view where) {
  const auto kinds = adapter_kinds();
  if (std::ranges::find(kinds, config.peft_type) == kinds.end())
    fail_unknown_name(ErrorKind::kConfig, "peft_type", config.peft_type, kinds);
  const bool counts = config.peft_type == "ADALORA";
  for (const std::string& each : config.rank_pattern) {
    const Entry entry = entry_of(each);
    matches(entry.pattern, "");  // is it an expression?
    const auto rank = number_of(entry.value);
    const bool fits =
        counts ? entry.value.find_first_not_of("01") == std::string::npos
               : rank && *rank >= 1 && *rank <= kHighestRank && *rank == std::floor(*rank);
    require(fits, ErrorKind::kFormat, where, "rank_pattern of '{}' is {}, expected {}",
            entry.pattern, entry.value,
            counts ? "which ranks are left, as 1101"
                   : fmt::format("a rank from 1 to {}", kHighestRank));
  }
  for (const std::string& each : config.alpha_pattern) {
    const Entry entry = entry_of(each);
    matches(entry.pattern, "");
    require(number_of(entry.value).has_value(), ErrorKind::kFormat, where,
            "alpha_pattern of '{}' is {}, expected a number", entry.pattern, entry.value);
  }
}

namespace {

void check_supported(const Json& tree, const std::string& where) {
  require(tree.is_object() && tree.contains("peft_type") && tree["peft_type"].is_string(),
          ErrorKind::kFormat, where,
          "no peft_type; expected the adapter_config.json of an adapter that PEFT saved");
  const auto type = tree["peft_type"].get<std::string>();
  const auto kinds = adapter_kinds();
  require(std::ranges::find(kinds, type) != kinds.end(), ErrorKind::kConfig, where,
          "peft_type is \"{}\", expected {}; merge an adapter of another kind into its base with "
          "PEFT's merge_and_unload(), and give the merged model",
          type, join(kinds, ", "));
  for (const auto& [key, what] : kUnsupported)
    require(!tree.contains(key) || is_off(tree[std::string(key)]), ErrorKind::kConfig, where,
            "{} is set ({}), which is not supported; merge the adapter into its base with PEFT's "
            "merge_and_unload(), and give the merged model",
            key, what);
  const auto init = tree.find("init_lora_weights");
  if (init == tree.end() || !init->is_string()) return;
  const auto how = init->get<std::string>();
  for (const std::string_view changes : kChangesBase)
    require(
        !how.starts_with(changes), ErrorKind::kConfig, where,
        "init_lora_weights is \"{}\": such an adapter acts on a base that its beginning changed; "
        "save it with PEFT's path_initial_model_for_weight_conversion, as a plain LoRA",
        how);
}

Json pattern_entries(const Json& pattern, std::string_view key, const std::string& where) {
  require(pattern.is_object() && pattern.size() <= kMostPatterns, ErrorKind::kFormat, where,
          "{} is not an object of at most {} patterns, each with its value", key, kMostPatterns);
  Json entries = Json::array();
  for (const auto& [name, value] : pattern.items()) {
    std::string text = value.is_string() ? "\"" + value.get<std::string>() + "\"" : value.dump();
    std::string module = name;
    if (value.is_array()) {  // the ranks that AdaLoRA left
      text.clear();
      for (const Json& kept : value) text += kept == true ? '1' : '0';
      if (module.starts_with("base_model.model.")) module = module.substr(17);
      if (module.ends_with(".lora_E")) module.resize(module.size() - 7);
    }
    entries.push_back(module + "=" + text);
  }
  return entries;
}

// The file's keys as visit() has them.
Json recipe_keys(const Json& tree, const std::string& where, std::vector<std::string>& unknown) {
  AdapterConfig all;
  std::set<std::string> known;
  for (const FieldInfo& field : describe(all)) known.insert(field.key);
  Json keys = Json::object();
  for (const auto& [key, value] : tree.items()) {
    if (value.is_null()) continue;
    if (key == "rank_pattern" || key == "alpha_pattern") {
      if (!value.empty()) keys[key] = pattern_entries(value, key, where);
    } else if ((key == "init_weights" || key == "init_lora_weights") && value.is_boolean()) {
      keys[key] = value == true || key == "init_weights" ? "true" : "false";
    } else if (key == "init_lora_weights" && value.is_string()) {
      const bool how = value == "gaussian" || value == "true" || value == "false";
      keys[key] = how ? value : Json("true");  // others differ in where training began
    } else if (key == "init_weights" && value.is_string()) {
      keys[key] = value == "mini" || value == "bat" ? value : Json("true");
    } else if (key == "prompt_tuning_init") {
      continue;  // only says where training began
    } else if (key == "r" && tree["peft_type"] == "ADALORA") {
      continue;  // init_r counts
    } else if (key == "trainable_token_indices" && value.is_object()) {
      require(value.size() == 1, ErrorKind::kConfig, where,
              "trainable_token_indices names {} tables, but only those of one can be trained",
              value.size());
      keys[key] = value.front();
    } else if (known.contains(key)) {
      keys[key] = value;
    } else if (std::ranges::find(kNotNeeded, key) == std::end(kNotNeeded) && !is_off(value)) {
      unknown.push_back(key);
    }
  }
  return keys;
}

// "exact" numbers as integers, names as booleans where PEFT has them.
Json file_value(const std::string& key, const Json& value) {
  if ((key == "init_lora_weights" || key == "init_weights") &&
      (value == "true" || value == "false"))
    return value == "true";
  if (key != "rank_pattern" && key != "alpha_pattern") return value;
  Json object = Json::object();
  for (const Json& each : value) {
    const Entry entry = entry_of(each.get<std::string>());
    const auto number = number_of(entry.value);
    object[entry.pattern] = key == "rank_pattern" ? Json(static_cast<int64_t>(number.value_or(0)))
                                                  : Json(number.value_or(0));
  }
  return object;
}

Json ranks_left(const std::vector<std::string>& rank_pattern) {
  Json object = Json::object();
  for (const std::string& each : rank_pattern) {
    const Entry entry = entry_of(each);
    Json kept = Json::array();
    for (const char c : entry.value) kept.push_back(c == '1');
    object[entry.pattern + ".lora_E"] = std::move(kept);
  }
  return object;
}

// The keys of a kind's own configuration, and those of the others.
std::set<std::string> keys_of(const ComponentConfig& config) {
  ComponentConfig copy = config;
  std::set<std::string> keys;
  for (const FieldInfo& field : describe(copy)) keys.insert(field.key);
  return keys;
}

// PEFT refuses what a kind does not have.
std::set<std::string> keys_of_other_kinds(const AdapterConfig& config) {
  std::set<std::string> others;
  const auto collect = [&](const auto& table, const ComponentConfigs& configs) {
    for (const auto& kind : table)
      if (kind.name != config.peft_type) others.merge(keys_of(configs.of(kind.name)));
  };
  collect(module_adapters(), config.modules);
  collect(prompt_encoders(), config.prompts);
  return others;
}

}  // namespace

AdapterConfig read_adapter_config(const std::filesystem::path& file, const Log& log) {
  const std::string where = file.string();
  const Json tree = read_json_file(file);
  check_supported(tree, where);
  std::vector<std::string> unknown;
  const Json keys = recipe_keys(tree, where, unknown);
  AdapterConfig config;
  read_config(config, keys, where);
  check(config, where);
  if (!unknown.empty())
    log.warn("{}: these keys are unknown and are ignored: {}", where, join_some(unknown));
  return config;
}

void write_adapter_config(const std::filesystem::path& file, const AdapterConfig& config,
                          const std::vector<std::pair<std::string, int64_t>>& sizes) {
  const std::set<std::string> others = keys_of_other_kinds(config);
  Json tree = {{"peft_type", config.peft_type}, {"inference_mode", true}};
  const Json written = write_config(config);
  for (const auto& [key, value] : written.items())
    if (!others.contains(key) && !(value.is_array() && value.empty()) && !is_off(value))
      tree[key] = file_value(key, value);
  if (config.peft_type == "ADALORA" && !config.rank_pattern.empty())
    tree["rank_pattern"] = ranks_left(config.rank_pattern);
  const auto drop = [&](std::initializer_list<const char*> keys) {
    for (const char* key : keys) tree.erase(key);
  };
  if (config.is_prompt())
    drop({"bias", "init_weights"});
  else
    drop({"num_virtual_tokens", "encoder_hidden_size"});
  if (config.peft_type != "LORA" && config.peft_type != "ADALORA" && config.peft_type != "OFT")
    drop({"bias", "ensure_weight_tying"});
  if (config.peft_type != "MISS") drop({"init_weights"});
  // A lone expression is a string in PEFT; a list has plain names.
  for (const char* key : {"target_modules", "exclude_modules", "feedforward_modules"}) {
    const auto names = tree.find(key);
    if (names == tree.end() || names->size() != 1) continue;
    const auto only = names->front().get<std::string>();
    if (only == "all-linear" || only.find_first_of("\\*+?()[]{}|^$") != std::string::npos)
      *names = only;
  }
  // PEFT opens no AdaLoRA without a schedule of ranks: the shortest where none is set.
  if (config.peft_type == "ADALORA" && !tree.contains("total_step")) {
    const auto& c = config.modules.get<AdaLoraConfig>();
    tree["total_step"] = c.tinit + c.tfinal + 1;
  }
  for (const auto& [key, size] : sizes) tree[key] = size;
  write_json_file(file, tree);
}

}  // namespace lathe
