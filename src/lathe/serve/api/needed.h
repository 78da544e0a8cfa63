// Values that an object of a request must have.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace lathe {

// Errors: ApiError 400 for `place`, naming the key.
const nlohmann::ordered_json& object_at(const nlohmann::ordered_json& object, const char* key,
                                        const std::string& place);
std::string text_at(const nlohmann::ordered_json& object, const char* key,
                    const std::string& place);
// The text `type` of what must be an object.
std::string type_of(const nlohmann::ordered_json& value, const std::string& place);

}  // namespace lathe
