// The functions of the Berkeley function-calling leaderboard, when they are there.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "io/shared_data.h"

namespace lathe::testing {

inline std::filesystem::path bfcl_folder() { return shared_data() / "eval/bfcl/bfcl_eval/data"; }

// The set has names of types of several programming languages.
inline nlohmann::ordered_json with_json_types(const nlohmann::ordered_json& schema) {
  static const std::map<std::string, std::string> types = {
      {"dict", "object"},   {"HashMap", "object"},  {"Object", "object"},   {"tuple", "array"},
      {"Array", "array"},   {"ArrayList", "array"}, {"list", "array"},      {"Queue", "array"},
      {"Stack", "array"},   {"float", "number"},    {"double", "number"},   {"String", "string"},
      {"char", "string"},   {"str", "string"},      {"Boolean", "boolean"}, {"bool", "boolean"},
      {"long", "integer"},  {"byte", "integer"},    {"short", "integer"},   {"int", "integer"},
      {"Bigint", "integer"}};
  if (!schema.is_object()) return schema;
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (const auto& [key, value] : schema.items()) {
    if (key == "properties") {
      out[key] = nlohmann::ordered_json::object();
      for (const auto& [name, inner] : value.items()) out[key][name] = with_json_types(inner);
    } else if (key == "type" && value.is_string()) {
      if (value == "any" || value == "Any") continue;
      const auto known = types.find(value.get<std::string>());
      out[key] = known == types.end() ? value : nlohmann::ordered_json(known->second);
    } else {
      out[key] = with_json_types(value);
    }
  }
  return out;
}

// {"name", "parameters"} of those in every file, each once.
inline std::set<std::string> bfcl_functions() {
  std::set<std::string> functions;
  for (const std::filesystem::directory_entry& file :
       std::filesystem::directory_iterator(bfcl_folder())) {
    if (!file.is_regular_file() || !file.path().filename().string().starts_with("BFCL")) continue;
    std::istringstream lines(unpacked(file.path()));
    for (std::string line; std::getline(lines, line);) {
      const nlohmann::ordered_json row = nlohmann::ordered_json::parse(line, nullptr, false);
      if (!row.is_object() || !row.contains("function") || !row["function"].is_array()) continue;
      for (const nlohmann::ordered_json& function : row["function"])
        if (function.contains("parameters"))
          functions.insert(nlohmann::ordered_json{
              {"name", function["name"]}, {"parameters", with_json_types(function["parameters"])}}
                               .dump());
    }
  }
  return functions;
}

}  // namespace lathe::testing
