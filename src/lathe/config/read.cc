// Reading a tree into a struct. The visitor walks struct and tree together; at the end of each
// section the keys of the tree that visit() did not ask for are the unknown ones.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/literal.h"
#include "lathe/config/read_write.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

std::string kind_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::boolean:
      return "a boolean";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return "an integer";
    case Json::value_t::number_float:
      return "a decimal number";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::array:
      return "a list";
    case Json::value_t::object:
      return "a section";
    case Json::value_t::binary:
    case Json::value_t::discarded:
      return "not a value";
  }
  return "not a value";
}

std::string shown(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_object()) return "a section";
  std::string text = value.is_number_float()
                         ? toml_literal(value.get<double>())
                         : value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text + " (" + kind_of(value) + ")";
}

// One scalar of a field or of a list. Each returns false when the type does not fit.
bool read_scalar(const Json& value, bool& out) {
  if (!value.is_boolean()) return false;
  out = value.get<bool>();
  return true;
}
bool read_scalar(const Json& value, int64_t& out) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX}) return false;
  out = value.get<int64_t>();
  return true;
}
bool read_scalar(const Json& value, double& out) {
  if (!value.is_number()) return false;
  out = value.get<double>();
  return std::isfinite(out);
}
bool read_scalar(const Json& value, std::string& out) {
  if (!value.is_string()) return false;
  out = value.get<std::string>();
  return true;
}

template <class T>
bool read_value(const FieldSpec& field, const Json& value, T& out) {
  return read_scalar(value, out) && allowed(field, out);
}
template <class T>
bool read_value(const FieldSpec& field, const Json& value, std::optional<T>& out) {
  out.reset();
  if (value.is_null()) return true;
  return read_value(field, value, out.emplace());
}
template <class T>
bool read_value(const FieldSpec& field, const Json& value, std::vector<T>& out) {
  out.clear();
  if (!value.is_array()) {  // one value is a list of one
    T scalar{};
    if (!read_scalar(value, scalar) || !allowed(field, scalar)) return false;
    out.push_back(scalar);
    return true;
  }
  for (const auto& element : value) {
    T scalar{};
    if (!read_scalar(element, scalar) || !allowed(field, scalar)) return false;
    out.push_back(scalar);
  }
  return true;
}

bool read_value(const FieldSpec& field, const Json& value, std::map<int64_t, double>& out) {
  out.clear();
  if (!value.is_object()) return false;
  for (const auto& [name, element] : value.items()) {
    int64_t key = 0;
    double number = 0;
    if (!parse_number(name, key) || !read_scalar(element, number) || !allowed(field, number))
      return false;
    out[key] = number;
  }
  return true;
}

class Reader : public Visitor {
 public:
  Reader(const Json& tree, std::string_view where, const ReadOptions& options)
      : where_(where), options_(options) {
    levels_.push_back({&tree, "", {}});
    require(tree.is_object(), ErrorKind::kConfig, where_, "the top level is {}, expected keys",
            kind_of(tree));
  }

  void finish() { check_unknown(); }

 protected:
  void on_field(const FieldSpec& field) override {
    Level& level = levels_.back();
    level.known.emplace_back(field.name);
    const Json* value = find(field.name);
    if (value == nullptr) {
      if (field.limits.is_required && !options_.partial)
        fail(ErrorKind::kConfig, where_, "{}{} is missing ({}), expected {}; write {}",
             level.prefix, field.name, field.help, expectation(field), example(field, nullptr));
      return;
    }
    const auto old = toml_literal(field.value);
    if (!std::visit([&](auto* out) { return read_value(field, *value, *out); }, field.value))
      refuse(field, *value, old);
  }

  void begin_group(std::string_view name, std::string_view) override {
    levels_.back().known.emplace_back(name);
    const Json* child = find(name);
    const std::string prefix = fmt::format("{}{}.", levels_.back().prefix, name);
    if (child != nullptr && !child->is_object())
      fail(ErrorKind::kConfig, where_, "{} is {}, expected a section; write its keys under [{}]",
           prefix.substr(0, prefix.size() - 1), shown(*child), prefix.substr(0, prefix.size() - 1));
    levels_.push_back({child, prefix, {}});
  }

  void end_group() override {
    check_unknown();
    levels_.pop_back();
  }

 private:
  struct Level {
    const Json* node;  // null: the tree lacks this section
    std::string prefix;
    std::vector<std::string> known;
  };

  const Json* find(std::string_view name) const {
    const Json* node = levels_.back().node;
    if (node == nullptr) return nullptr;
    const auto it = node->find(std::string(name));
    return it == node->end() ? nullptr : &*it;
  }

  void check_unknown() {
    const Level& level = levels_.back();
    if (level.node == nullptr) return;
    for (const auto& [key, value] : level.node->items()) {
      if (std::find(level.known.begin(), level.known.end(), key) != level.known.end()) continue;
      if (options_.unknown != nullptr) {
        options_.unknown->push_back(level.prefix + key);
        continue;
      }
      const auto guess = nearest(key, level.known);
      const std::string hint =
          guess ? fmt::format(" Did you mean '{}{}'?", level.prefix, *guess) : std::string();
      const std::string section = level.prefix.empty()
                                      ? "the top level"
                                      : "[" + level.prefix.substr(0, level.prefix.size() - 1) + "]";
      fail(ErrorKind::kConfig, where_, "unknown key '{}{}'.{} Keys of {}: {}", level.prefix, key,
           hint, section, join(level.known, ", "));
    }
  }

  [[noreturn]] void refuse(const FieldSpec& field, const Json& value,
                           const std::optional<std::string>& old) const {
    const std::string hint = value.is_string() && !field.choices.empty()
                                 ? did_you_mean(value.get<std::string>(), field.choices)
                                 : std::string();
    fail(ErrorKind::kConfig, where_, "{}{} is {}, expected {}.{} Write {}", levels_.back().prefix,
         field.name, shown(value), expectation(field), hint, example(field, &value, old));
  }

  // A line that would be accepted: the value given in its right type where that is possible, else
  // the default, else a value at the limit.
  std::string example(const FieldSpec& field, const Json* given,
                      const std::optional<std::string>& old = std::nullopt) const {
    std::string text = example_value(field, given, old);
    const std::string& prefix = levels_.back().prefix;
    if (in_json()) return fmt::format("\"{}\": {}", field.name, text);
    if (prefix.empty()) return fmt::format("{} = {}", field.name, text);
    return fmt::format("{} = {} in [{}]", field.name, text, prefix.substr(0, prefix.size() - 1));
  }

  bool in_json() const { return where_.ends_with(".json"); }

  std::string example_value(const FieldSpec& field, const Json* given,
                            const std::optional<std::string>& old) const {
    const std::string type = type_name(field.value);
    if (given != nullptr && type == "integer" && given->is_number_float()) {
      const double value = given->get<double>();
      if (value == std::floor(value) && std::abs(value) < 1e15 && within(field.limits, value))
        return toml_literal(static_cast<int64_t>(value));
    }
    if (given != nullptr && type == "string" && given->is_primitive() && !given->is_null() &&
        field.choices.empty() && !given->is_string())
      return "\"" + given->dump() + "\"";
    if (old && *old != "\"\"" && *old != "[]" && !type.starts_with("map")) return *old;
    if (!field.choices.empty())
      return type.starts_with("list") ? "[\"" + field.choices[0] + "\"]"
                                      : "\"" + field.choices[0] + "\"";
    return made_up_value(field, type);
  }

  std::string made_up_value(const FieldSpec& field, const std::string& type) const {
    const Limits& limits = field.limits;
    double number = 1;
    if (limits.minimum) number = *limits.minimum + (limits.exclusive_minimum ? 1 : 0);
    if (limits.maximum && !within(limits, number))
      number = limits.minimum ? (*limits.minimum + *limits.maximum) / 2
                              : *limits.maximum - (limits.exclusive_maximum ? 1 : 0);
    std::string scalar = "\"...\"";
    if (type.find("integer") != std::string::npos)
      scalar = toml_literal(static_cast<int64_t>(std::ceil(number)));
    else if (type.find("number") != std::string::npos)
      scalar = toml_literal(number);
    else if (type.find("boolean") != std::string::npos)
      scalar = "true";
    if (type.starts_with("map"))
      return fmt::format("{{\"7\"{} {}}}", in_json() ? ":" : " =", scalar);
    return type.starts_with("list") ? "[" + scalar + "]" : scalar;
  }

  std::string_view where_;
  const ReadOptions& options_;
  std::vector<Level> levels_;
};

}  // namespace

void read_config_in_place(ConfigRef config, const Json& tree, std::string_view where,
                          const ReadOptions& options) {
  Reader reader(tree, where, options);
  config.visit(reader);
  reader.finish();
}

}  // namespace lathe
