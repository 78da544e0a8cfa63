#include "lathe/config/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "lathe/base/error.h"

// toml++ tells the compiler to assume what it asserts (TOML_ASSUME, under NDEBUG), and hostile
// texts ("[.a]") break some of that: undefined behaviour. Its assertions are errors here.
namespace lathe {
[[noreturn]] static void refuse_toml();
}
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(condition) ((condition) ? void() : ::lathe::refuse_toml())
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace lathe {

void refuse_toml() {
  throw toml::parse_error("a key or value is malformed", toml::source_region());
}

namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kMaxRecipeBytes = 4 << 20;

std::string place(std::string_view name, const toml::source_position& at) {
  if (at.line == 0) return std::string(name);  // an assertion of toml++, see above
  return fmt::format("{}:{}:{}", name, at.line, at.column);
}

Json to_json(const toml::node& node, std::string_view name);

// toml++ keeps tables sorted by key; the order of the file is restored from the keys' positions.
Json to_json_table(const toml::table& table, std::string_view name) {
  std::vector<std::pair<const toml::key*, const toml::node*>> entries;
  for (auto it = table.cbegin(); it != table.cend(); ++it)
    entries.emplace_back(&it->first, &it->second);
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    const auto p = a.first->source().begin, q = b.first->source().begin;
    return std::pair(p.line, p.column) < std::pair(q.line, q.column);
  });
  Json out = Json::object();
  for (const auto& [key, value] : entries) out[std::string(key->str())] = to_json(*value, name);
  return out;
}

Json to_json(const toml::node& node, std::string_view name) {
  if (const auto* table = node.as_table()) return to_json_table(*table, name);
  if (const auto* array = node.as_array()) {
    Json out = Json::array();
    for (const auto& element : *array) out.push_back(to_json(element, name));
    return out;
  }
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_boolean()) return value->get();
  fail(ErrorKind::kConfig, place(name, node.source().begin),
       "dates and times are not used in recipes; write the value as a string in quotes");
}

std::string read_text(const std::filesystem::path& path) {
  std::error_code ignored;
  require(!std::filesystem::is_directory(path, ignored), ErrorKind::kIo, path.string(),
          "is a directory, expected a .toml or .json file");
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  require(in.good(), ErrorKind::kIo, path.string(), "cannot be opened: {}", std::strerror(errno));
  std::string text(kMaxRecipeBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  require(!in.bad(), ErrorKind::kIo, path.string(), "cannot be read: {}", std::strerror(errno));
  text.resize(static_cast<size_t>(in.gcount()));
  require(text.size() <= kMaxRecipeBytes, ErrorKind::kConfig, path.string(),
          "is larger than 4 MiB; that is no recipe");
  return text;
}

std::vector<std::string> split_key(std::string_view key, std::string_view assignment) {
  std::vector<std::string> parts;
  std::string part;
  const auto finish = [&] {
    require(!part.empty(), ErrorKind::kUsage, "override",
            "'{}' has an empty key, expected section.key=value", assignment);
    parts.push_back(std::move(part));
    part.clear();
  };
  for (const char c : key) {
    if (c == '.')
      finish();
    else
      part += c == '-' ? '_' : c;
  }
  finish();
  return parts;
}

Json parse_value(const std::string& text) {
  try {
    const toml::table table = toml::parse("v = " + text);
    const toml::node* node = table.get("v");
    // A line break in the text could have added other keys, and a comment could have ended it.
    const bool plain = table.size() == 1 && text.find_first_of("\n#") == std::string::npos;
    if (node != nullptr && plain && !node->is_date() && !node->is_time() && !node->is_date_time())
      return to_json(*node, "override");
  } catch (const toml::parse_error& e) {
    const bool opened =
        !text.empty() && std::string_view("[{\"'").find(text[0]) != std::string::npos;
    require(!opened, ErrorKind::kUsage, "override", "the value {} is not valid TOML: {}", text,
            std::string(e.description()));
  }
  return text;
}

}  // namespace

Json parse_toml(std::string_view text, std::string_view name) {
  try {
    return to_json(toml::parse(text), name);
  } catch (const toml::parse_error& e) {
    fail(ErrorKind::kConfig, place(name, e.source().begin), "not valid TOML: {}",
         std::string(e.description()));
  }
}

Json load_recipe(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  require(extension == ".toml" || extension == ".json", ErrorKind::kConfig, path.string(),
          "has the extension '{}', expected a recipe in .toml or .json", extension);
  const std::string text = read_text(path);
  if (extension == ".toml") return parse_toml(text, path.string());
  Json tree = parse_json(text, path.string());
  require(tree.is_object(), ErrorKind::kConfig, path.string(),
          "does not hold a JSON object; write {{ \"key\": value, ... }}");
  return tree;
}

void apply_override(Json& tree, std::string_view assignment) {
  const size_t equals = assignment.find('=');
  require(equals != std::string_view::npos, ErrorKind::kUsage, "override",
          "'{}' has no '=', expected section.key=value", assignment);
  const auto parts = split_key(assignment.substr(0, equals), assignment);
  if (tree.is_null()) tree = Json::object();
  Json* node = &tree;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    Json& child = (*node)[parts[i]];
    if (child.is_null()) child = Json::object();
    require(child.is_object(), ErrorKind::kUsage, "override",
            "'{}': {} is a value, not a section with keys", assignment, parts[i]);
    node = &child;
  }
  Json value = parse_value(std::string(assignment.substr(equals + 1)));
  const auto old = node->find(parts.back());
  require(old == node->end() || !old->is_object() || value.is_object(), ErrorKind::kUsage,
          "override", "'{}': {} is a section; set one of its keys, as in {}.key=value", assignment,
          parts.back(), assignment.substr(0, equals));
  (*node)[parts.back()] = std::move(value);
}

}  // namespace lathe
