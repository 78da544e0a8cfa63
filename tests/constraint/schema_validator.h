// A validator of JSON Schema that shares nothing with the compiler: it checks a whole value against the
// keywords, one after the other, as the specification words them.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "lathe/base/utf8.h"

namespace lathe::testing {

class SchemaValidator {
 public:
  using Json = nlohmann::ordered_json;
  explicit SchemaValidator(const Json& root) : root_(root) {}

  bool valid(const Json& value) const { return valid(root_, value); }

 private:
  bool valid(const Json& s, const Json& v) const {
    if (s.is_boolean()) return s.get<bool>();
    if (s.contains("$ref") && !valid(target(s["$ref"]), v)) return false;
    if (s.contains("type") && !has_type(s["type"], v)) return false;
    if (s.contains("enum") && std::ranges::find(s["enum"], v) == s["enum"].end()) return false;
    if (s.contains("const") && s["const"] != v) return false;
    return combined(s, v) && (!v.is_number() || number(s, v.get<double>())) &&
           (!v.is_string() || string(s, v.get<std::string>())) && (!v.is_array() || array(s, v)) &&
           (!v.is_object() || object(s, v));
  }

  const Json& target(const std::string& reference) const {
    return reference == "#" ? root_ : root_.at(Json::json_pointer(reference.substr(1)));
  }

  static bool has_type(const Json& type, const Json& v) {
    if (type.is_array())
      return std::ranges::any_of(type, [&](const Json& one) { return has_type(one, v); });
    const std::string t = type.get<std::string>();
    if (t == "null") return v.is_null();
    if (t == "boolean") return v.is_boolean();
    if (t == "integer") return v.is_number() && v.get<double>() == std::floor(v.get<double>());
    if (t == "number") return v.is_number();
    if (t == "string") return v.is_string();
    return t == "array" ? v.is_array() : v.is_object();
  }

  bool combined(const Json& s, const Json& v) const {
    const auto count = [&](const char* key) {
      return std::ranges::count_if(s[key], [&](const Json& one) { return valid(one, v); });
    };
    if (s.contains("allOf") && count("allOf") != static_cast<long>(s["allOf"].size())) return false;
    if (s.contains("anyOf") && count("anyOf") == 0) return false;
    return !s.contains("oneOf") || count("oneOf") == 1;
  }

  static bool number(const Json& s, double v) {
    if (s.contains("minimum") && v < s["minimum"].get<double>()) return false;
    if (s.contains("maximum") && v > s["maximum"].get<double>()) return false;
    if (s.contains("exclusiveMinimum") && v <= s["exclusiveMinimum"].get<double>()) return false;
    if (s.contains("exclusiveMaximum") && v >= s["exclusiveMaximum"].get<double>()) return false;
    if (!s.contains("multipleOf")) return true;
    const double parts = v / s["multipleOf"].get<double>();
    return std::abs(parts - std::round(parts)) < 1e-6 * std::max(1.0, std::abs(parts));
  }

  static bool string(const Json& s, const std::string& v) {
    const auto length = static_cast<size_t>(count_characters(v));
    if (s.contains("minLength") && length < s["minLength"].get<size_t>()) return false;
    if (s.contains("maxLength") && length > s["maxLength"].get<size_t>()) return false;
    if (s.contains("pattern") && !std::regex_search(v, std::regex(s["pattern"].get<std::string>())))
      return false;
    return !s.contains("format") || format(s["format"], v);
  }

  static bool is_date(const std::string& v) {
    int year, month, day;
    char end;
    if (v.size() != 10 || std::sscanf(v.c_str(), "%4d-%2d-%2d%c", &year, &month, &day, &end) != 3)
      return false;
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    const int days[] = {31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
  }

  static bool is_time(const std::string& v) {
    std::smatch m;
    if (!std::regex_match(
            v, m, std::regex("(\\d\\d):(\\d\\d):(\\d\\d)(\\.\\d+)?(Z|[-+](\\d\\d):(\\d\\d))")))
      return false;
    const auto at_most = [&](size_t i, int most) {
      return !m[i].matched || std::stoi(m[i]) <= most;
    };
    return at_most(1, 23) && at_most(2, 59) && at_most(3, 59) && at_most(6, 23) && at_most(7, 59);
  }

  static bool is_ipv6(const std::string& v) {
    const size_t gap = v.find("::");
    const auto groups = [](const std::string& part) {
      if (part.empty()) return 0;
      const std::regex form("[0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4})*");
      if (!std::regex_match(part, form)) return 99;
      return static_cast<int>(std::ranges::count(part, ':')) + 1;
    };
    if (gap == std::string::npos) return groups(v) == 8;
    return groups(v.substr(0, gap)) + groups(v.substr(gap + 2)) <= 7;
  }

  static bool format(const std::string& name, const std::string& v) {
    const auto is = [&](const char* form) { return std::regex_match(v, std::regex(form)); };
    if (name == "date") return is_date(v);
    if (name == "time") return is_time(v);
    if (name == "date-time")
      return v.size() > 11 && v[10] == 'T' && is_date(v.substr(0, 10)) && is_time(v.substr(11));
    if (name == "email") return is("[^@ ]+@[A-Za-z0-9.-]+");
    if (name == "uuid")
      return is("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}");
    if (name == "ipv6") return is_ipv6(v);
    if (name == "uri") return is("[A-Za-z][A-Za-z0-9+.-]*:[^ <>\"{}|\\\\^`]*");
    if (name == "hostname") return is("[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)*");
    if (name == "duration") return is("P.+");
    if (name != "ipv4") return false;
    int a, b, c, d;
    char end;
    return std::sscanf(v.c_str(), "%3d.%3d.%3d.%3d%c", &a, &b, &c, &d, &end) == 4 && a < 256 &&
           b < 256 && c < 256 && d < 256;
  }

  bool array(const Json& s, const Json& v) const {
    if (s.contains("minItems") && v.size() < s["minItems"].get<size_t>()) return false;
    if (s.contains("maxItems") && v.size() > s["maxItems"].get<size_t>()) return false;
    const size_t prefix = s.contains("prefixItems") ? s["prefixItems"].size() : 0;
    for (size_t i = 0; i < v.size(); ++i) {
      if (i < prefix && !valid(s["prefixItems"][i], v[i])) return false;
      if (i >= prefix && s.contains("items") && !valid(s["items"], v[i])) return false;
    }
    return true;
  }

  bool object(const Json& s, const Json& v) const {
    if (s.contains("minProperties") && v.size() < s["minProperties"].get<size_t>()) return false;
    if (s.contains("maxProperties") && v.size() > s["maxProperties"].get<size_t>()) return false;
    if (s.contains("required"))
      for (const Json& name : s["required"])
        if (!v.contains(name.get<std::string>())) return false;
    for (const auto& [name, inner] : v.items()) {
      if (s.contains("properties") && s["properties"].contains(name)) {
        if (!valid(s["properties"][name], inner)) return false;
      } else if (s.contains("additionalProperties") && !valid(s["additionalProperties"], inner)) {
        return false;
      }
    }
    return true;
  }

  const Json& root_;
};

}  // namespace lathe::testing
