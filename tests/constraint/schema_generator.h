// Random JSON Schemas, and random values that are valid by them and in the order in which the compiler
// wants properties.
#pragma once

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace lathe::testing {

class SchemaGenerator {
 public:
  using Json = nlohmann::ordered_json;
  explicit SchemaGenerator(uint64_t seed) : random_(seed) {}

  template <class List>
  typename List::value_type pick(const List& list) {
    return list[static_cast<size_t>(between(0, static_cast<int64_t>(list.size()) - 1))];
  }

  // A whole schema, with definitions, one of which refers to itself.
  Json schema() {
    Json out = any_schema(3);
    if (out.is_boolean()) out = Json::object();
    out["$defs"] = {
        {"node",
         {{"type", "object"},
          {"properties",
           {{"v", {{"type", "integer"}}},
            {"kids", {{"type", "array"}, {"items", {{"$ref", "#/$defs/node"}}}, {"maxItems", 3}}}}},
          {"required", {"v"}},
          {"additionalProperties", false}}},
        {"word", {{"type", "string"}, {"maxLength", 6}}}};
    return out;
  }

  // `root` holds the definitions.
  Json value(const Json& s, const Json& root, int depth = 4) {
    if (s.is_boolean()) return any_value(2);
    if (s.contains("$ref"))
      return value(root.at(Json::json_pointer(s["$ref"].get<std::string>().substr(1))), root,
                   depth - 1);
    if (s.contains("const")) return s["const"];
    if (s.contains("enum")) return pick(s["enum"]);
    if (s.contains("anyOf")) return value(pick(s["anyOf"]), root, depth);
    if (s.contains("oneOf")) return value(pick(s["oneOf"]), root, depth);
    if (s.contains("allOf")) return value(merged(s["allOf"]), root, depth);
    if (!s.contains("type")) return any_value(2);
    const std::string type =
        s["type"].is_array() ? pick(s["type"]).get<std::string>() : s["type"].get<std::string>();
    if (type == "null") return nullptr;
    if (type == "boolean") return chance(0.5);
    if (type == "integer") return integer(s);
    if (type == "number")
      return chance(0.3) && !s.contains("exclusiveMinimum") ? integer(s) : number(s);
    if (type == "string") return string(s);
    return type == "array" ? array(s, root, depth) : object(s, root, depth);
  }

  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }
  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
  }

 private:
  struct Sample {
    const char *rule, *value;
  };

  Json any_schema(int depth) {
    switch (between(0, depth > 0 ? 13 : 6)) {
      case 0:
        return string_schema();
      case 1:
        return integer_schema();
      case 2:
        return number_schema();
      case 3:
        return {{"type", pick(std::vector<std::string>{"boolean", "null"})}};
      case 4:
        return {{"enum",
                 {"red", "gr\xC3\xBCn", "a\"b\\", 1, 2.5, nullptr, true, {1, "x"}, {{"k", 1}}}}};
      case 5:
        return chance(0.3)
                   ? Json(true)
                   : Json{{"const", pick(std::vector<Json>{"x", 5, nullptr, Json::array()})}};
      case 6:
        return {{"$ref", chance(0.5) ? "#/$defs/node" : "#/$defs/word"}};
      case 7:
      case 8:
        return array_schema(depth - 1);
      case 9:
        return {{"anyOf", {any_schema(depth - 1), any_schema(depth - 1)}},
                {"description", "either"}};
      case 10:
        return one_of(depth - 1);
      case 11:
        return all_of(depth - 1);
      default:
        return object_schema(depth - 1);
    }
  }

  static const std::vector<Sample>& patterns() {
    static const std::vector<Sample> list = {{"^[a-z]{2,5}$", "abc"},
                                             {"^\\d{3}-\\d{4}$", "555-1234"},
                                             {"foo", "a foo \xC3\xA9"},
                                             {"^(yes|no)$", "no"},
                                             {"^[^\\s@]+@[^\\s@]+$", "a\"b@c"},
                                             {"x+y?$", "\n\xF0\x9F\x99\x82xx"},
                                             {"^$|^a", "abc"}};
    return list;
  }
  static const std::vector<Sample>& formats() {
    static const std::vector<Sample> list = {{"date", "2024-02-29"},
                                             {"time", "23:59:59.5+01:00"},
                                             {"date-time", "1999-12-31T00:00:00Z"},
                                             {"email", "a.b+c@ex-1.org"},
                                             {"uuid", "123e4567-e89b-12d3-a456-426614174000"},
                                             {"ipv4", "255.0.10.199"},
                                             {"ipv6", "2001:db8::8:800:200c:417a"},
                                             {"ipv6", "::"},
                                             {"uri", "https://x.y/z?q=%20#f"},
                                             {"hostname", "a-b.c1"},
                                             {"duration", "P3Y6M4DT12H"}};
    return list;
  }

  Json string_schema() {
    if (chance(0.25)) return {{"type", "string"}, {"pattern", pick(patterns()).rule}};
    if (chance(0.25)) return {{"type", "string"}, {"format", pick(formats()).rule}};
    Json out = {{"type", "string"}};
    if (chance(0.4)) out["minLength"] = between(0, 3);
    if (chance(0.4)) out["maxLength"] = between(3, 40);
    return out;
  }

  Json integer_schema() {
    Json out = {{"type", "integer"}};
    const int64_t low = between(-1200, 1200);
    if (chance(0.5)) out[chance(0.7) ? "minimum" : "exclusiveMinimum"] = low;
    if (chance(0.5)) out[chance(0.7) ? "maximum" : "exclusiveMaximum"] = low + between(2, 3000);
    return out;
  }

  Json number_schema() {
    Json out = {{"type", "number"}};
    const double low = static_cast<double>(between(-3000, 3000)) / 100;
    if (chance(0.5)) out[chance(0.7) ? "minimum" : "exclusiveMinimum"] = low;
    if (chance(0.5))
      out[chance(0.7) ? "maximum" : "exclusiveMaximum"] =
          low + static_cast<double>(between(5, 900)) / 100;
    if (chance(0.1)) out["multipleOf"] = 0.01;
    return out;
  }

  Json array_schema(int depth) {
    Json out = {{"type", "array"}};
    if (chance(0.2)) {
      out["prefixItems"] = {any_schema(depth), any_schema(depth)};
      if (chance(0.5)) out["items"] = false;
    } else if (chance(0.8)) {
      out["items"] = any_schema(depth);
    }
    const bool closed = out.contains("items") && out["items"] == false;
    if (chance(0.4)) out["minItems"] = between(0, 2);
    if (chance(0.4)) out["maxItems"] = between(2, closed ? 2 : 12);
    return out;
  }

  std::string name(size_t i) {
    static const std::vector<std::string> names = {
        "a", "ab", "abc", "\xC3\xA9t\xC3\xA9", "x \"y\"", "b-1", "line\nend"};
    return names[i % names.size()];
  }

  Json object_schema(int depth) {
    Json out = {{"type", chance(0.1) ? Json{"object", "null"} : Json("object")}};
    const auto count = static_cast<size_t>(between(0, 5)),
               first = static_cast<size_t>(between(0, 6));
    Json required = Json::array();
    for (size_t i = 0; i < count; ++i) {
      out["properties"][name(first + i)] = any_schema(depth);
      if (chance(0.5)) required.push_back(name(first + i));
    }
    if (chance(0.1)) required.push_back("extra");
    const bool needs_more = !required.empty() && required.back() == "extra";
    if (!required.empty()) out["required"] = required;
    if (chance(0.4))
      out["additionalProperties"] = needs_more ? Json{{"type", "integer"}} : Json(false);
    else if (chance(0.3))
      out["additionalProperties"] = any_schema(0);
    if (count == 0 && required.empty() && !out.contains("additionalProperties") && chance(0.5))
      out["maxProperties"] = between(1, 4);
    return out;
  }

  // Told apart by type, or by a property.
  Json one_of(int depth) {
    if (chance(0.4)) return {{"oneOf", {string_schema(), integer_schema(), array_schema(depth)}}};
    Json ways = Json::array();
    for (const char* kind : {"circle", "square"}) {
      Json way = {{"type", "object"},
                  {"properties", {{"kind", {{"const", kind}}}}},
                  {"required", {"kind"}}};
      way["properties"][kind] = any_schema(depth);
      ways.push_back(way);
    }
    return {{"oneOf", ways}};
  }

  Json all_of(int depth) {
    const Json first = {
        {"type", "object"},
        {"properties", {{"p", {{"type", "integer"}, {"minimum", 3}}}, {"q", any_schema(depth)}}},
        {"required", {"p"}}};
    const Json second = {{"properties", {{"p", {{"maximum", 90}}}, {"r", any_schema(depth)}}},
                         {"required", {"r"}}};
    return {{"allOf", {first, second}}};
  }

  // What all_of() means, as one schema.
  static Json merged(const Json& parts) {
    Json out = parts[0];
    out["properties"]["p"]["maximum"] = 90;
    out["properties"]["r"] = parts[1]["properties"]["r"];
    out["required"] = {"p", "r"};
    return out;
  }

  static double bound(const Json& s, const char* key, const char* exclusive, double step,
                      double otherwise) {
    if (s.contains(key)) return s[key].get<double>();
    return s.contains(exclusive) ? s[exclusive].get<double>() + step : otherwise;
  }

  Json integer(const Json& s) {
    const double none = 1e9;
    double low = bound(s, "minimum", "exclusiveMinimum", 1, none);
    double high = bound(s, "maximum", "exclusiveMaximum", -1, none);
    if (low == none) low = high == none ? -5000 : high - 5000;
    if (high == none) high = low + 5000;
    const auto first = static_cast<int64_t>(std::ceil(low)),
               last = static_cast<int64_t>(std::floor(high));
    if (first > last) return number(s);
    return between(first, last);
  }

  Json number(const Json& s) {
    const double none = 1e9;
    double low = bound(s, "minimum", "exclusiveMinimum", 0.01, none);
    double high = bound(s, "maximum", "exclusiveMaximum", -0.01, none);
    const bool free = low == none && high == none && !s.contains("multipleOf");
    if (free && chance(0.3))
      return std::ldexp(static_cast<double>(between(-9999, 9999)),
                        static_cast<int>(between(-60, 60)));
    if (low == none) low = high == none ? -50 : high - 50;
    if (high == none) high = low + 50;
    const auto first = static_cast<int64_t>(std::ceil(low * 100 - 1e-6)),
               last = static_cast<int64_t>(std::floor(high * 100 + 1e-6));
    return static_cast<double>(between(first, std::max(first, last))) / 100;
  }

  std::string characters(int64_t low, int64_t high) {
    static const std::vector<std::string> pool = {"a",
                                                  "b",
                                                  "Z",
                                                  "0",
                                                  " ",
                                                  "\"",
                                                  "\\",
                                                  "/",
                                                  "\n",
                                                  "\x01",
                                                  "\xC3\xA9",
                                                  "\xE5\x8C\x97",
                                                  "\xF0\x9F\x99\x82",
                                                  "\x7F",
                                                  "{",
                                                  ":"};
    std::string out;
    for (int64_t n = between(low, high); n > 0; --n) out += pick(pool);
    return out;
  }

  Json string(const Json& s) {
    for (const auto& [key, list] :
         {std::pair("pattern", &patterns()), std::pair("format", &formats())})
      if (s.contains(key))
        while (true)
          if (const Sample sample = pick(*list); s[key] == sample.rule) return sample.value;
    const int64_t low = s.value("minLength", 0);
    return characters(low, s.value("maxLength", low + 12));
  }

  Json array(const Json& s, const Json& root, int depth) {
    const size_t prefix = s.contains("prefixItems") ? s["prefixItems"].size() : 0;
    int64_t low = s.value("minItems", 0), high = s.value("maxItems", low + 3);
    if (prefix > 0 && s.contains("items") && s["items"] == false) high = std::min<int64_t>(high, 2);
    if (depth <= 0) high = low;
    Json out = Json::array();
    for (int64_t i = 0, n = between(low, high); i < n; ++i)
      out.push_back(static_cast<size_t>(i) < prefix
                        ? value(s["prefixItems"][static_cast<size_t>(i)], root, depth - 1)
                    : s.contains("items") ? value(s["items"], root, depth - 1)
                                          : any_value(1));
    return out;
  }

  Json object(const Json& s, const Json& root, int depth) {
    Json out = Json::object();
    const Json required = s.value("required", Json::array());
    const auto needed = [&](const std::string& key) {
      return std::ranges::find(required, Json(key)) != required.end();
    };
    if (s.contains("properties"))
      for (const auto& [key, schema] : s["properties"].items())
        if (needed(key) || (depth > 0 && chance(0.6))) out[key] = value(schema, root, depth - 1);
    const Json more = s.value("additionalProperties", Json(true));
    if (needed("extra")) out["extra"] = value(more, root, depth - 1);
    if (more != false && depth > 0 && chance(0.3) && !s.contains("maxProperties"))
      out[pick(std::vector<std::string>{"abcd", "zz", "\xC3\xA9", "kin", ""}) + "_"] =
          value(more, root, 0);
    return out;
  }

  Json any_value(int depth) {
    switch (between(0, depth > 0 ? 6 : 4)) {
      case 0:
        return nullptr;
      case 1:
        return chance(0.5);
      case 2:
        return between(-1000000, 1000000);
      case 3:
        return static_cast<double>(between(-1000, 1000)) * 1e-7;
      case 4:
        return characters(0, 6);
      case 5:
        return Json::array({any_value(depth - 1), any_value(depth - 1)});
      default:
        return {{characters(0, 3), any_value(depth - 1)}, {"k", any_value(depth - 1)}};
    }
  }

  std::mt19937_64 random_;
};

}  // namespace lathe::testing
