// Values that an object of a request must have.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace lathe {

// Errors: ApiError 400 for `place`, naming the key.
const nlohmann::ordered_json& object_at(const nlohmann::ordered_json& object, const char* key,
                                        const std::string& place);
std::string text_at(const nlohmann::ordered_json& object, const char* key,
                    const std::string& place);
// The text `type` of what must be an object.
std::string type_of(const nlohmann::ordered_json& value, const std::string& place);
// A text, or the texts of a list of parts of these types, behind each other.
std::string text_of_parts(const nlohmann::ordered_json& content,
                          std::initializer_list<std::string_view> types, const std::string& place);

}  // namespace lathe
