// Files of any text, to look for something in.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace lathe {

// Every text in a value, one a line.
std::string texts_in(const nlohmann::ordered_json& value);

// Of JSON each value with all its texts, whatever its fields are called; of a plain text the whole. Packed or not. Errors:
// kIo, kFormat; kData, naming file and line.
void for_each_whole_text(const std::filesystem::path& file,
                         const std::function<void(std::string_view)>& receive);

}  // namespace lathe
