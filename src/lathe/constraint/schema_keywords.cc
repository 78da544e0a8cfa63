// The keywords of one schema.
#include <algorithm>
#include <array>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/constraint/schema_shape.h"
#include "lathe/constraint/string_formats.h"

namespace lathe::constraint {
namespace {

template <class... Args>
[[noreturn]] void bad(const SchemaPlace& place, fmt::format_string<Args...> format,
                      Args&&... args) {
  fail(ErrorKind::kConfig, "JSON schema", "at {}: {}", place.pointer,
       fmt::format(format, std::forward<Args>(args)...));
}

constexpr std::array<std::pair<std::string_view, uint8_t>, 7> kTypeNames = {
    {{"null", kNull},
     {"boolean", kBoolean},
     {"integer", kInteger},
     {"number", kInteger | kFraction},
     {"string", kString},
     {"array", kArray},
     {"object", kObject}}};

uint8_t type_called(const SchemaPlace& place, const SchemaJson& name) {
  std::vector<std::string> known;
  for (const auto& [word, type] : kTypeNames) {
    if (name == word) return type;
    known.emplace_back(word);
  }
  const std::string given = name.is_string() ? name.get<std::string>() : name.dump();
  bad(place, "`type` is '{}', expected one of: {}.{}", given, join(known, ", "),
      did_you_mean(given, known));
}

void read_type(const SchemaPlace& place, const SchemaJson& value, Shape& out) {
  if (!value.is_array()) {
    out.types = type_called(place, value);
    return;
  }
  out.types = 0;
  for (const SchemaJson& one : value) out.types |= type_called(place, one);
  if (value.empty()) bad(place, "`type` is an empty list");
}

uint32_t count_of(const SchemaPlace& place, const char* key, const SchemaJson& value) {
  const bool fits = value.is_number() && value.get<double>() >= 0 &&
                    value.get<double>() == std::floor(value.get<double>());
  if (!fits) bad(place, "`{}` is {}, expected an integer of at least 0", key, value.dump());
  constexpr double kMost = 1'000'000;
  if (value.get<double>() > kMost)
    bad(place, "`{}` is {}, expected at most 1000000", key, value.dump());
  return static_cast<uint32_t>(value.get<double>());
}

double bound_of(const SchemaPlace& place, const char* key, const SchemaJson& value) {
  if (!value.is_number()) bad(place, "`{}` is {}, expected a number", key, value.dump());
  const double number = value.get<double>();
  if (!(std::abs(number) <= kLargestBound))
    bad(place, "`{}` is {}, expected at most 2^53 either way", key, value.dump());
  return number;
}

// The tighter of two.
void tighten(std::optional<NumberLimit>& limit, double value, bool exclusive, bool is_low) {
  if (limit && limit->value == value) {
    limit->exclusive = limit->exclusive || exclusive;
  } else if (!limit || (is_low ? value > limit->value : value < limit->value)) {
    limit = NumberLimit{value, exclusive};
  }
}

// Of earlier drafts too, where `exclusiveMinimum` is a truth value beside `minimum`.
void read_bound(const SchemaPlace& place, const char* key, const char* exclusive_key, bool is_low,
                Shape& out) {
  const SchemaJson& json = *place.json;
  std::optional<NumberLimit>& limit = is_low ? out.range.low : out.range.high;
  const bool exclusive = json.value(exclusive_key, SchemaJson()) == true;
  if (json.contains(key)) tighten(limit, bound_of(place, key, json[key]), exclusive, is_low);
  if (json.contains(exclusive_key) && !json[exclusive_key].is_boolean())
    tighten(limit, bound_of(place, exclusive_key, json[exclusive_key]), true, is_low);
}

// Only steps that are seen in the digits.
void read_multiple_of(const SchemaPlace& place, Shape& out) {
  const SchemaJson& step = (*place.json)["multipleOf"];
  if (step.is_number() && step.get<double>() > 0) {
    double unit = 1;
    for (int decimals = 0; decimals <= 12; ++decimals, unit /= 10) {
      if (std::abs(step.get<double>() - unit) > unit * 1e-9) continue;
      out.range.decimals = decimals;
      if (decimals == 0) out.types &= static_cast<uint8_t>(~kFraction);
      return;
    }
  }
  bad(place, "`multipleOf` is {}; supported are 1, 0.1, 0.01 and so on", step.dump());
}

void read_format(const SchemaPlace& place, Shape& out) {
  const SchemaJson& format = (*place.json)["format"];
  if (!format.is_string()) bad(place, "`format` is {}, expected a text", format.dump());
  const std::string name = format.get<std::string>();
  constexpr std::array<std::string_view, 5> kOfNumbers = {"int32", "int64", "float", "double",
                                                          "decimal"};
  if (std::ranges::find(kOfNumbers, name) != kOfNumbers.end() || (out.types & kString) == 0) return;
  if (find_string_format(name) == nullptr)
    bad(place, "`format` '{}' is not known.{} Known: {}; or use `pattern`", name,
        did_you_mean(name, string_format_names()), join(string_format_names(), ", "));
  out.format = name;
}

SchemaPlace below(const SchemaPlace& place, const char* key) {
  return {&(*place.json)[key], pointer_to(place.pointer, key)};
}

// A schema is an object or a truth value.
SchemaPlace schema_below(const SchemaPlace& place, const char* key) {
  const SchemaPlace inner = below(place, key);
  if (!inner.json->is_object() && !inner.json->is_boolean())
    bad(inner, "this is {}, expected a schema: an object, true or false", inner.json->dump());
  return inner;
}

void read_array(const SchemaPlace& place, Shape& out) {
  const SchemaJson& json = *place.json;
  const bool old_form = json.contains("items") && json["items"].is_array();
  const char* prefix = old_form ? "items" : "prefixItems";
  if (json.contains(prefix)) {
    const SchemaPlace list = below(place, prefix);
    if (!list.json->is_array())
      bad(list, "this is {}, expected a list of schemas", list.json->dump());
    for (size_t i = 0; i < list.json->size(); ++i)
      out.prefix_items.push_back({{&(*list.json)[i], pointer_to(list.pointer, std::to_string(i))}});
  }
  const char* rest = old_form ? "additionalItems" : "items";
  if (json.contains(rest)) out.items = {schema_below(place, rest)};
  if (json.contains("minItems")) out.min_items = count_of(place, "minItems", json["minItems"]);
  if (json.contains("maxItems")) out.max_items = count_of(place, "maxItems", json["maxItems"]);
}

void require_name(const SchemaPlace& place, const std::string& name) {
  constexpr size_t kMost = 1024;
  if (name.size() > kMost)
    bad(place, "the name of a property has {} bytes, expected at most {}", name.size(), kMost);
}

void read_object(const SchemaPlace& place, Shape& out) {
  constexpr size_t kMost = 4096;
  const SchemaJson& json = *place.json;
  for (const char* key : {"properties", "required"})
    if (json.contains(key) && json[key].size() > kMost)
      bad(place, "`{}` has {} entries, expected at most {}", key, json[key].size(), kMost);
  if (json.contains("properties")) {
    const SchemaPlace list = below(place, "properties");
    if (!list.json->is_object()) bad(list, "this is {}, expected an object", list.json->dump());
    for (const auto& [name, schema] : list.json->items()) {
      require_name(place, name);
      out.properties.push_back({name, {{&schema, pointer_to(list.pointer, name)}}});
    }
  }
  if (json.contains("required")) {
    const SchemaJson& names = json["required"];
    if (!names.is_array()) bad(place, "`required` is {}, expected a list of texts", names.dump());
    for (const SchemaJson& name : names) {
      if (!name.is_string()) bad(place, "`required` has {}, expected texts", name.dump());
      require_name(place, name.get_ref<const std::string&>());
      if (!out.requires_property(name.get<std::string>())) out.required.push_back(name);
    }
  }
  if (json.contains("additionalProperties"))
    out.additional = {schema_below(place, "additionalProperties")};
  if (json.contains("minProperties"))
    out.min_properties = count_of(place, "minProperties", json["minProperties"]);
  if (json.contains("maxProperties"))
    out.max_properties = count_of(place, "maxProperties", json["maxProperties"]);
}

void read_string(const SchemaPlace& place, Shape& out) {
  const SchemaJson& json = *place.json;
  if (json.contains("minLength")) out.min_length = count_of(place, "minLength", json["minLength"]);
  if (json.contains("maxLength")) out.max_length = count_of(place, "maxLength", json["maxLength"]);
  if (json.contains("pattern")) {
    if (!json["pattern"].is_string())
      bad(place, "`pattern` is {}, expected a text", json["pattern"].dump());
    out.patterns.push_back(json["pattern"]);
  }
  if (json.contains("format")) read_format(place, out);
}

// What the specification defines and a grammar cannot promise, and what may be meant as a keyword of
// it. All else says nothing of values (JSON Schema Core, 6.5) and is passed over.
void refuse_other_keywords(const SchemaPlace& place) {
  static const std::vector<std::string> known = {"type",
                                                 "enum",
                                                 "const",
                                                 "minimum",
                                                 "maximum",
                                                 "exclusiveMinimum",
                                                 "exclusiveMaximum",
                                                 "multipleOf",
                                                 "minLength",
                                                 "maxLength",
                                                 "pattern",
                                                 "format",
                                                 "items",
                                                 "prefixItems",
                                                 "additionalItems",
                                                 "minItems",
                                                 "maxItems",
                                                 "properties",
                                                 "required",
                                                 "additionalProperties",
                                                 "minProperties",
                                                 "maxProperties",
                                                 "allOf",
                                                 "anyOf",
                                                 "oneOf",
                                                 "$ref",
                                                 "$defs",
                                                 "definitions",
                                                 "title",
                                                 "description",
                                                 "default",
                                                 "examples",
                                                 "example",
                                                 "deprecated",
                                                 "readOnly",
                                                 "writeOnly",
                                                 "$schema",
                                                 "$id",
                                                 "$comment",
                                                 "nullable"};
  static const std::vector<std::string> unsupported = {"not",
                                                       "if",
                                                       "then",
                                                       "else",
                                                       "contains",
                                                       "minContains",
                                                       "maxContains",
                                                       "propertyNames",
                                                       "patternProperties",
                                                       "dependentRequired",
                                                       "dependentSchemas",
                                                       "dependencies",
                                                       "unevaluatedItems",
                                                       "unevaluatedProperties",
                                                       "$dynamicRef",
                                                       "$recursiveRef",
                                                       "$anchor",
                                                       "$dynamicAnchor",
                                                       "uniqueItems"};
  for (const auto& [key, value] : place.json->items()) {
    if (key == "uniqueItems" && value == false) continue;
    if (std::ranges::find(unsupported, key) != unsupported.end())
      bad(place, "the keyword `{}` is not supported; leave it out, or say the same with others",
          key);
    if (std::ranges::find(known, key) == known.end() && nearest(key, known))
      bad(place, "there is no keyword `{}`.{}", key, did_you_mean(key, known));
  }
}

void read_values(const SchemaPlace& place, Shape& out) {
  const SchemaJson& json = *place.json;
  if (json.contains("const")) out.values.emplace(1, json["const"]);
  if (!json.contains("enum")) return;
  const SchemaJson& list = json["enum"];
  if (!list.is_array() || list.empty())
    bad(place, "`enum` is {}, expected a list of values", list.dump());
  std::vector<SchemaJson> values;
  for (const SchemaJson& value : list)
    if (!out.values || (*out.values)[0] == value) values.push_back(value);
  out.values = std::move(values);
}

}  // namespace

std::string pointer_to(const std::string& pointer, std::string_view key) {
  std::string out = pointer + "/";
  for (const char c : key) c == '~' ? out += "~0" : c == '/' ? out += "~1" : out += c;
  return out;
}

SchemaType type_of(const SchemaJson& value) {
  switch (value.type()) {
    case SchemaJson::value_t::null:
      return kNull;
    case SchemaJson::value_t::boolean:
      return kBoolean;
    case SchemaJson::value_t::string:
      return kString;
    case SchemaJson::value_t::array:
      return kArray;
    case SchemaJson::value_t::object:
      return kObject;
    case SchemaJson::value_t::number_float:
      return value.get<double>() == std::floor(value.get<double>()) ? kInteger : kFraction;
    default:
      return kInteger;
  }
}

Shape shape_of_keywords(const SchemaPlace& place) {
  Shape out;
  out.pointer = place.pointer;
  if (place.json->is_boolean()) {
    if (*place.json == false) out.types = 0;
    return out;
  }
  if (!place.json->is_object())
    bad(place, "this is {}, expected a schema: an object, true or false", place.json->dump());
  refuse_other_keywords(place);
  if (place.json->contains("type")) read_type(place, (*place.json)["type"], out);
  if (place.json->value("nullable", SchemaJson()) == true) out.types |= kNull;
  read_values(place, out);
  read_bound(place, "minimum", "exclusiveMinimum", true, out);
  read_bound(place, "maximum", "exclusiveMaximum", false, out);
  if (place.json->contains("multipleOf")) read_multiple_of(place, out);
  read_string(place, out);
  read_array(place, out);
  read_object(place, out);
  return out;
}

}  // namespace lathe::constraint
