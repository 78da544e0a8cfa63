#include "lathe/model/adapter/lora_config.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/json_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kHighestRank = 1 << 16;
constexpr size_t kMostPatterns = 10'000;

// What only training reads, or what follows from the names of the tensors.
constexpr std::string_view kNotNeeded[] = {
    "alora_invocation_string",
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "target_parameters",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
};
// What this file's reader takes.
constexpr std::string_view kRead[] = {
    "peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern"};

struct Unsupported {
  std::string_view key, what;
};
// Options that change what is computed; each must be off.
constexpr Unsupported kUnsupported[] = {
    {"use_dora", "DoRA, which also scales the columns of a weight"},
    {"modules_to_save", "modules that were trained as a whole"},
    {"trainable_token_indices", "rows of the token table that were trained"},
    {"lora_bias", "a bias behind the matrix B"},
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

bool is_off(const Json& value) {
  return value.is_null() || value == false || (value.is_structured() && value.empty());
}

std::string type_of(const Json& tree, const std::string& where) {
  require(tree.is_object() && tree.contains("peft_type") && tree["peft_type"].is_string(),
          ErrorKind::kFormat, where,
          "no peft_type; expected the adapter_config.json of an adapter that PEFT saved");
  return tree["peft_type"].get<std::string>();
}

void check_supported(const Json& tree, const std::string& where) {
  const std::string type = type_of(tree, where);
  require(
      type == "LORA", ErrorKind::kConfig, where,
      "peft_type is \"{}\", but only \"LORA\" is supported; merge the adapter into its base with "
      "PEFT's merge_and_unload(), and give the merged model",
      type);
  for (const auto& [key, what] : kUnsupported)
    require(
        !tree.contains(key) || is_off(tree[std::string(key)]), ErrorKind::kConfig, where,
        "{} is set ({}), but of LoRA only the matrices A and B are supported, with rsLoRA, "
        "rank_pattern and alpha_pattern; merge the adapter into its base with PEFT's merge_and_unload(), and give the "
        "merged model",
        key, what);
  if (const auto bias = tree.find("bias"); bias != tree.end())
    require(bias->is_null() || *bias == "none", ErrorKind::kConfig, where,
            "bias is {}: biases that were trained are not supported, expected \"none\"; merge the "
            "adapter into its base with PEFT's merge_and_unload(), and give the merged model",
            bias->dump());
}

bool is_known(std::string_view key) {
  const auto in = [&](const auto& list) { return std::ranges::find(list, key) != std::end(list); };
  return in(kNotNeeded) || in(kRead) || key == "bias" ||
         std::ranges::any_of(kUnsupported, [&](const auto& each) { return each.key == key; });
}

void warn_of_unknown(const Json& tree, const std::string& where, const Log& log) {
  std::vector<std::string> unknown;
  for (const auto& [key, value] : tree.items())
    if (!is_known(key) && !is_off(value)) unknown.push_back(key);
  if (!unknown.empty())
    log.warn("{}: these keys are unknown and are ignored: {}", where, join_some(unknown));
}

int64_t rank_from(const Json& value, std::string_view key, const std::string& where) {
  require(value.is_number_integer() && value >= 1 && value <= kHighestRank, ErrorKind::kFormat,
          where, "{} is {}, expected a rank from 1 to {}", key, value.dump(), kHighestRank);
  return value.get<int64_t>();
}

double alpha_from(const Json& value, std::string_view key, const std::string& where) {
  require(value.is_number() && std::isfinite(value.get<double>()), ErrorKind::kFormat, where,
          "{} is {}, expected a number", key, value.dump());
  return value.get<double>();
}

// The keys of a pattern are regular expressions.
template <class T, class Read>
void read_pattern(const Json& tree, const char* key, const std::string& where, ByModule<T>& to,
                  Read&& read) {
  const auto found = tree.find(key);
  if (found == tree.end() || found->is_null()) return;
  require(found->is_object() && found->size() <= kMostPatterns, ErrorKind::kFormat, where,
          "{} is not an object of at most {} patterns, each with its value", key, kMostPatterns);
  for (const auto& [pattern, value] : found->items())
    to.add(Regex("\\A(?:.*\\.)?(?:" + pattern + ")\\z", where),
           read(value, fmt::format("{} of '{}'", key, pattern), where));
}

}  // namespace

double LoraConfig::scale(std::string_view module) const {
  const auto rank_of_module = static_cast<double>(rank(module));
  return alpha_pattern.of(module, lora_alpha) /
         (use_rslora ? std::sqrt(rank_of_module) : rank_of_module);
}

LoraConfig read_lora_config(const std::filesystem::path& file, const Log& log) {
  const std::string where = file.string();
  const Json tree = read_json_file(file);
  check_supported(tree, where);
  warn_of_unknown(tree, where, log);
  LoraConfig config;
  const auto has = [&](const char* key) { return tree.contains(key) && !tree.at(key).is_null(); };
  if (has("base_model_name_or_path") && tree["base_model_name_or_path"].is_string())
    config.base = tree["base_model_name_or_path"].get<std::string>();
  if (has("r")) config.r = rank_from(tree["r"], "r", where);
  if (has("lora_alpha")) config.lora_alpha = alpha_from(tree["lora_alpha"], "lora_alpha", where);
  if (has("use_rslora")) {
    require(tree["use_rslora"].is_boolean(), ErrorKind::kFormat, where,
            "use_rslora is {}, expected true or false", tree["use_rslora"].dump());
    config.use_rslora = tree["use_rslora"].get<bool>();
  }
  read_pattern(tree, "rank_pattern", where, config.rank_pattern, rank_from);
  read_pattern(tree, "alpha_pattern", where, config.alpha_pattern, alpha_from);
  return config;
}

}  // namespace lathe
