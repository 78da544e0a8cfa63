#include "lathe/config/literal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace lathe {
namespace {

template <class... F>
struct Overload : F... {
  using F::operator()...;
};
template <class... F>
Overload(F...) -> Overload<F...>;

template <class T>
std::string list_literal(const std::vector<T>& values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += ", ";
    text += toml_literal(static_cast<const T&>(values[i]));
  }
  return text + "]";
}

std::string map_literal(const std::map<int64_t, double>& values) {
  std::string text = "{";
  for (const auto& [key, value] : values)
    text += fmt::format("{}\"{}\" = {}", text.size() > 1 ? ", " : "", key, toml_literal(value));
  return text + "}";
}

// Name of the element type in singular: what a list or optional is of.
std::string element_name(const FieldRef& value) {
  return std::visit(Overload{
                        [](const bool*) { return "boolean"; },
                        [](const std::vector<bool>*) { return "boolean"; },
                        [](const std::optional<bool>*) { return "boolean"; },
                        [](const int64_t*) { return "integer"; },
                        [](const std::vector<int64_t>*) { return "integer"; },
                        [](const std::optional<int64_t>*) { return "integer"; },
                        [](const double*) { return "number"; },
                        [](const std::vector<double>*) { return "number"; },
                        [](const std::optional<double>*) { return "number"; },
                        [](const std::string*) { return "string"; },
                        [](const std::vector<std::string>*) { return "string"; },
                        [](const std::optional<std::string>*) { return "string"; },
                        [](const std::map<int64_t, double>*) { return "number"; },
                    },
                    value);
}

bool is_list(const FieldRef& value) {
  return std::visit(Overload{[](const auto*) { return false; },
                             []<class T>(const std::vector<T>*) { return true; }},
                    value);
}

bool is_map(const FieldRef& value) {
  return std::holds_alternative<std::map<int64_t, double>*>(value);
}

template <class Number>
bool parse_whole(std::string_view text, Number& out) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), out);
  return result.ec == std::errc() && result.ptr == text.data() + text.size() && !text.empty();
}

}  // namespace

bool parse_number(std::string_view text, int64_t& out) { return parse_whole(text, out); }
bool parse_number(std::string_view text, double& out) {
  return parse_whole(text, out) && std::isfinite(out);
}

std::string toml_literal(bool value) { return value ? "true" : "false"; }
std::string toml_literal(int64_t value) { return fmt::format("{}", value); }

std::string toml_literal(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string toml_literal(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\t') {
      text += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      text += fmt::format("\\u{:04X}", byte);
    } else {
      text += c;
    }
  }
  return text + "\"";
}

std::optional<std::string> toml_literal(const FieldRef& value) {
  return std::visit(
      Overload{
          [](const auto* v) -> std::optional<std::string> { return toml_literal(*v); },
          []<class T>(const std::vector<T>* v) -> std::optional<std::string> {
            return list_literal(*v);
          },
          []<class T>(const std::optional<T>* v) -> std::optional<std::string> {
            if (!v->has_value()) return std::nullopt;
            return toml_literal(**v);
          },
          [](const std::map<int64_t, double>* v) -> std::optional<std::string> {
            return map_literal(*v);
          },
      },
      value);
}

bool is_optional(const FieldRef& value) {
  return std::visit(Overload{[](const auto*) { return false; },
                             []<class T>(const std::optional<T>*) { return true; }},
                    value);
}

std::string type_name(const FieldRef& value) {
  if (is_map(value)) return "map from integers to numbers";
  return is_list(value) ? "list of " + element_name(value) + "s" : element_name(value);
}

std::string limits_text(const Limits& limits) {
  if (limits.minimum && limits.maximum && !limits.exclusive_minimum && !limits.exclusive_maximum)
    return fmt::format("between {} and {}", *limits.minimum, *limits.maximum);
  std::string text;
  if (limits.minimum)
    text = fmt::format("{} {}", limits.exclusive_minimum ? "above" : "at least", *limits.minimum);
  if (limits.maximum)
    text += fmt::format("{}{} {}", text.empty() ? "" : " and ",
                        limits.exclusive_maximum ? "below" : "at most", *limits.maximum);
  return text;
}

bool within(const Limits& limits, double value) {
  if (limits.minimum &&
      (limits.exclusive_minimum ? value <= *limits.minimum : value < *limits.minimum))
    return false;
  if (limits.maximum &&
      (limits.exclusive_maximum ? value >= *limits.maximum : value > *limits.maximum))
    return false;
  return true;
}

bool allowed(const FieldSpec& field, const std::string& value) {
  return field.choices.empty() ||
         std::find(field.choices.begin(), field.choices.end(), value) != field.choices.end();
}

bool allowed(const FieldSpec&, bool) { return true; }

bool allowed(const FieldSpec& field, int64_t value) {
  return within(field.limits, static_cast<double>(value));
}

bool allowed(const FieldSpec& field, double value) { return within(field.limits, value); }

std::string expectation(const FieldSpec& field) {
  if (!field.choices.empty()) {
    std::string names;
    for (const auto& choice : field.choices)
      names += fmt::format("{}'{}'", names.empty() ? "" : ", ", choice);
    return (is_list(field.value) ? "a list of: " : "one of ") + names;
  }
  const std::string element = element_name(field.value);
  std::string text;
  if (is_map(field.value))
    text = "integers with a number each";
  else if (is_list(field.value))
    text = "a list of " + element + "s";
  else if (element == "boolean")
    text = "true or false";
  else
    text = (element == "integer" ? "an " : "a ") + element;
  const std::string limits = limits_text(field.limits);
  return limits.empty()
             ? text
             : text + (is_list(field.value) || is_map(field.value) ? ", each " : ", ") + limits;
}

}  // namespace lathe
