#include "lathe/serve/api/needed.h"

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

}  // namespace lathe
