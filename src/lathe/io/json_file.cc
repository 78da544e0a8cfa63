#include "lathe/io/json_file.h"

#include <nlohmann/json.hpp>

#include "lathe/io/atomic_file.h"
#include "lathe/io/mapped_file.h"

namespace lathe {

nlohmann::ordered_json read_json_file(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_file(path), path.string(), limits);
}

std::string json_file_text(const nlohmann::ordered_json& value) {
  try {
    return value.dump(2) + "\n";
  } catch (const nlohmann::json::type_error& e) {  // invalid UTF-8
    fail(ErrorKind::kData, "json", "cannot be written as JSON: {}", e.what());
  }
}

void write_json_file(const std::filesystem::path& path, const nlohmann::ordered_json& value) {
  write_file_atomically(path, json_file_text(value));
}

}  // namespace lathe
