// JSON files, read strictly and written atomically.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "lathe/config/json_text.h"

namespace lathe {

// Keys are in the order of the file. Throws kIo if it cannot be read, and limits.error_kind
// (kFormat by default), naming `file:line:column`, if it is not strict JSON.
nlohmann::ordered_json read_json_file(const std::filesystem::path& path,
                                      const JsonLimits& limits = {
                                          .error_kind = ErrorKind::kFormat});

// The text that write_json_file() writes. Throws kData for text that is not UTF-8.
std::string json_file_text(const nlohmann::ordered_json& value);
// Writes atomically, indented by two spaces, with a final line break. Throws kIo, or kData for text
// that is not UTF-8.
void write_json_file(const std::filesystem::path& path, const nlohmann::ordered_json& value);

}  // namespace lathe
