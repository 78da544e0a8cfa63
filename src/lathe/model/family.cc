#include "lathe/model/family.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"

namespace lathe {

using Json = nlohmann::ordered_json;

std::span<const Family* const> families() {
  static const std::array<const Family*, 3> kFamilies = {
      &llama_family(),
      &gpt2_family(),
      &lathe_family(),
  };
  return kFamilies;
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const Family* f : families()) names.emplace_back(f->name());
  return names;
}

const Family& find_family(std::string_view model_type) {
  for (const Family* f : families())
    if (f->name() == model_type) return *f;
  const auto names = family_names();
  fail(ErrorKind::kConfig, "model_type", "no family '{}'.{} Known: {}", model_type,
       did_you_mean(model_type, names), join(names, ", "));
}

const Family& family_for(const ModelConfig& config) {
  const Family& own = find_family(config.model_type);
  if (own.can_express(config)) return own;
  for (const Family* f : families())
    if (f->can_express(config)) return *f;
  return lathe_family();
}

Json Family::rename(const Json& section) const {
  Json renamed = Json::object();
  for (const auto& [key, value] : section.items()) {
    std::string name = key;
    for (const KeyAlias& a : aliases())
      if (key == a.theirs) name = a.ours;
    // "norm.eps" -> {"norm": {"eps": …}}
    Json* at = &renamed;
    size_t dot;
    while ((dot = name.find('.')) != std::string::npos) {
      at = &(*at)[name.substr(0, dot)];
      name = name.substr(dot + 1);
    }
    if (value.is_object() && at->contains(name)) {
      (*at)[name].update(value);
    } else {
      (*at)[name] = value;
    }
  }
  return renamed;
}

namespace {

struct ActivationName {
  std::string_view theirs, ours;
};
// The first line of each of ours is the one that is written.
constexpr ActivationName kActivationNames[] = {
    {"silu", "silu"},          {"swish", "silu"},          {"gelu", "gelu"},
    {"gelu_new", "gelu_tanh"}, {"gelu_fast", "gelu_tanh"}, {"gelu_pytorch_tanh", "gelu_tanh"},
    {"relu", "relu"},
};

}  // namespace

std::string activation_from_json(const std::string& hidden_act) {
  for (const auto& n : kActivationNames)
    if (n.theirs == hidden_act) return std::string(n.ours);
  fail(ErrorKind::kConfig, "config.json", "activation '{}' is not one that Lathe computes",
       hidden_act);
}

bool has_json_activation(const std::string& name) {
  return std::ranges::any_of(kActivationNames,
                             [&](const ActivationName& n) { return n.ours == name; });
}

std::string activation_to_json(const std::string& name) {
  for (const auto& n : kActivationNames)
    if (n.ours == name) return std::string(n.theirs);
  fail(ErrorKind::kConfig, "config.json", "activation '{}' has no name in transformers", name);
}

}  // namespace lathe
