// Typed access to the members of a parsed JSON object, with messages that name the file and the
// field. Internal to text/.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"

namespace lathe::text_json {

using Json = nlohmann::json;

// No tokenizer nests deeper; copying and destroying a document recurses, so depth is stack.
inline constexpr int kMaxDepth = 256;
// How deep brackets nest, strings excepted. Exact for valid JSON, which is all it is used for.
int depth_of(std::string_view text);

// Parses a document; kFormat with the position on a syntax error or invalid UTF-8.
Json parse(std::string_view text, std::string_view origin);

// The member, or nullptr when it is absent or null.
inline const Json* find(const Json& object, const char* key) {
  const auto at = object.find(key);
  return at == object.end() || at->is_null() ? nullptr : &*at;
}

template <class... Args>
[[noreturn]] void bad(std::string_view origin, fmt::format_string<Args...> format, Args&&... args) {
  fail(ErrorKind::kFormat, "tokenizer.json", "{}: {}", origin,
       fmt::format(format, std::forward<Args>(args)...));
}

inline const Json& get(const Json& object, const char* key, std::string_view origin) {
  const Json* value = find(object, key);
  if (value == nullptr) bad(origin, "'{}' is missing", key);
  return *value;
}

inline std::string get_string(const Json& object, const char* key, std::string_view origin) {
  const Json& value = get(object, key, origin);
  if (!value.is_string()) bad(origin, "'{}' is a {}, expected a string", key, value.type_name());
  return value.get<std::string>();
}

inline bool get_bool(const Json& object, const char* key, std::string_view origin) {
  const Json& value = get(object, key, origin);
  if (!value.is_boolean())
    bad(origin, "'{}' is a {}, expected true or false", key, value.type_name());
  return value.get<bool>();
}

inline bool get_bool(const Json& object, const char* key, bool otherwise, std::string_view origin) {
  return find(object, key) == nullptr ? otherwise : get_bool(object, key, origin);
}

// A string that is one character.
inline std::string get_character(const Json& object, const char* key, std::string_view origin) {
  std::string value = get_string(object, key, origin);
  if (value.empty() ||
      decode_utf8(as_bytes(value), as_bytes(value) + value.size()).size != value.size())
    bad(origin, "'{}' is '{}', expected one character", key, value);
  return value;
}

inline size_t get_size(const Json& object, const char* key, std::string_view origin) {
  const Json& value = get(object, key, origin);
  if (!value.is_number_integer() || value < 0)
    bad(origin, "'{}' is {}, expected an integer of at least 0", key, value.dump());
  return value.get<size_t>();
}

inline int32_t get_id(const Json& value, std::string_view what, std::string_view origin) {
  if (!value.is_number_integer() || value < 0 || value > INT32_MAX)
    bad(origin, "the id of {} is not an integer from 0 to 2147483647", what);
  return value.get<int32_t>();
}

inline const Json& get_array(const Json& object, const char* key, std::string_view origin) {
  const Json& value = get(object, key, origin);
  if (!value.is_array()) bad(origin, "'{}' is a {}, expected a list", key, value.type_name());
  return value;
}

// The "type" of a component; the component must be an object.
inline std::string type_of(const Json& component, std::string_view role, std::string_view origin) {
  if (!component.is_object())
    bad(origin, "{} is a {}, expected an object", role, component.type_name());
  return get_string(component, "type", origin);
}

// The members of a `Sequence`, at most 64 deep in all.
inline void check_depth(int depth, std::string_view role, std::string_view origin) {
  if (depth > 64) bad(origin, "{}: sequences nested more than 64 deep", role);
}

}  // namespace lathe::text_json
