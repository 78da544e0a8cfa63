// Reading, writing and describing a struct through its visit().
//
// Keys are dotted paths (`model.norm.kind`); the tree of values is a nlohmann::ordered_json object
// whatever the file format was. Every function is a pure function of its arguments and thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/config/visit.h"

namespace lathe {

struct FieldInfo {
  std::string key;     // "norm.kind"
  std::string type;    // "integer", "number", "string", "boolean", "list of integers", …
  std::string value;   // the current value as a TOML literal; "" if not set
  std::string help;    // one line
  std::string limits;  // "at least 1", "between 0 and 1", "" for none
  std::vector<std::string> choices;
  bool optional = false;    // may be left unset
  bool required = false;    // must be given
  bool positional = false;  // see Visitor::positional
  OnResume on_resume = OnResume::kAnother;
};

// The fields in the order of visit(), groups flattened to dotted keys. Given a default-constructed
// struct, `value` is the default.
std::vector<FieldInfo> describe(ConfigRef config);

// The struct as a tree; fields that are not set are left out.
nlohmann::ordered_json write_config(ConfigRef config);

// The struct as a TOML file with every field's help and limits as comments. Reading it back gives
// an equal struct.
std::string config_to_toml(ConfigRef config);

// A Markdown table `key | type | default | meaning`.
std::string config_markdown(ConfigRef config);
// The same for a recipe's section, with a column for what a change means for a run that is
// continued.
std::string recipe_section_markdown(ConfigRef config, OnResume unless_said);

struct ReadOptions {
  // Receives keys that the struct does not know, as dotted paths; null: such a key is an error.
  std::vector<std::string>* unknown = nullptr;
  bool partial = false;  // keys that are required may be missing: they come from elsewhere
};

// Implementation of read_config below: may leave `config` half read if it throws.
void read_config_in_place(ConfigRef config, const nlohmann::ordered_json& tree,
                          std::string_view where, const ReadOptions& options);

// Sets the fields of `config` that `tree` names; the others keep their values. `where` names the
// file in errors. Throws kConfig, and leaves `config` as it was, for an unknown key (naming the
// nearest known one and the keys of its section), a wrong type, a value outside its limits, a
// missing required key. Integers are accepted for numbers; 100.0 is not accepted for an integer;
// null unsets an optional field.
template <class S>
void read_config(S& config, const nlohmann::ordered_json& tree, std::string_view where,
                 const ReadOptions& options = {}) {
  S copy = config;
  read_config_in_place(copy, tree, where, options);
  config = std::move(copy);
}

}  // namespace lathe
