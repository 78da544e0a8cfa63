#include "lathe/serve/api/needed.h"

#include <algorithm>

#include "lathe/serve/api_error.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

const Json& value_at(const Json& object, const char* key, bool (Json::*is)() const noexcept,
                     const std::string& place, const char* expected) {
  const auto it = object.find(key);
  if (it == object.end()) refuse(place, "`{}` is missing, expected {}", key, expected);
  if (!((*it).*is)()) refuse(place, "`{}` is a {}, expected {}", key, it->type_name(), expected);
  return *it;
}

}  // namespace

const Json& object_at(const Json& object, const char* key, const std::string& place) {
  return value_at(object, key, &Json::is_object, place, "an object");
}

std::string text_at(const Json& object, const char* key, const std::string& place) {
  return value_at(object, key, &Json::is_string, place, "a text").get<std::string>();
}

std::string type_of(const Json& value, const std::string& place) {
  if (!value.is_object()) refuse(place, "a {}, expected an object", value.type_name());
  return text_at(value, "type", place);
}

std::string text_of_parts(const Json& content, std::initializer_list<std::string_view> types,
                          const std::string& place) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array())
    refuse(place, "a {}, expected a text or a list of parts", content.type_name());
  std::string out;
  for (const Json& part : content) {
    const std::string type = type_of(part, place);
    if (std::ranges::find(types, type) == types.end())
      refuse(place, "a part of type '{}' is not supported here; this server reads \"{}\"", type,
             *types.begin());
    out += text_at(part, "text", place);
  }
  return out;
}

}  // namespace lathe
