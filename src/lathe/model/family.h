// Model families: how a config.json and the tensor names of a Hugging Face folder correspond to
// ModelConfig and to this program's parameters. A family is one file in families/ and one line of
// the catalogue in family.cc.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/model/config.h"

namespace lathe {

// One tensor on disk and the parameter (or the rows of one part of a stacked parameter) that it
// holds. "{}" stands for the layer number on both sides.
struct WeightRule {
  std::string disk;
  std::string parameter;
  int part = -1;            // index into Parameter::parts; -1: the whole
  bool transposed = false;  // stored [inputs, outputs]
};

// A key of config.json (or of a recipe) under the name it has in ModelConfig: {"n_embd",
// "hidden_size"}.
struct KeyAlias {
  std::string_view theirs, ours;
};

class Family {
 public:
  virtual ~Family() = default;
  virtual std::string_view name() const = 0;          // model_type
  virtual std::string_view architecture() const = 0;  // config.json's architectures[0]
  virtual std::string_view summary() const = 0;
  virtual ModelConfig defaults() const = 0;
  virtual std::span<const KeyAlias> aliases() const { return {}; }

  // config.json -> ModelConfig; Error kConfig for a setting that Lathe does not compute.
  virtual ModelConfig read(const nlohmann::ordered_json& json) const = 0;
  // Whether `config` computes exactly what the family's code in transformers computes.
  virtual bool can_express(const ModelConfig& config) const = 0;
  virtual nlohmann::ordered_json write(const ModelConfig& config) const = 0;
  virtual std::vector<WeightRule> weights(const ModelConfig& config) const = 0;
  // Names that may be missing in front of every tensor name ("transformer." in old GPT-2 files).
  virtual std::string_view optional_prefix() const { return ""; }

  // `section` with aliases replaced by our names.
  nlohmann::ordered_json rename(const nlohmann::ordered_json& section) const;
};

std::span<const Family* const> families();
std::vector<std::string> family_names();
const Family& find_family(std::string_view model_type);  // Error kConfig
// The family in which `config` can be saved: its own when that can express it, else any, else
// "lathe".
const Family& family_for(const ModelConfig& config);

// The activation names of config.json files in terms of ours, and back.
std::string activation_from_json(const std::string& hidden_act);
std::string activation_to_json(const std::string& name);
bool has_json_activation(const std::string& name);  // transformers computes it

// One function per file in families/.
const Family& llama_family();
const Family& gpt2_family();
const Family& lathe_family();

}  // namespace lathe
