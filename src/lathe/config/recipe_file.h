// Recipes: TOML or JSON files that are read into one kind of tree, and overrides from the command
// line.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace lathe {

// The tree of a .toml or .json file (by its extension; anything else is refused), keys in the order
// of the file. Errors: kIo when it cannot be read, kConfig naming `file:line:column` for a syntax
// error, a duplicate key, a date (recipes have none), a file above 4 MiB.
nlohmann::ordered_json load_recipe(const std::filesystem::path& path);

// As load_recipe, from text; errors use `name` as the file.
nlohmann::ordered_json parse_toml(std::string_view text, std::string_view name);

// Applies "section.key=value" to the tree and creates missing sections. The value is read as a TOML
// value; a word that is not one (a path, a name) is taken as a string, and so is a date. Throws
// kUsage for a missing `=`, an empty key, a path through a value that is not a section, or a value
// that opens a quote, list or table and does not close it.
void apply_override(nlohmann::ordered_json& tree, std::string_view assignment);

}  // namespace lathe
