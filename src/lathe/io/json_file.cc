#include "lathe/io/json_file.h"

#include <nlohmann/json.hpp>

#include "lathe/io/atomic_file.h"
#include "lathe/io/mapped_file.h"

namespace lathe {

nlohmann::ordered_json read_json_file(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_file(path), path.string(), limits);
}

void write_json_file(const std::filesystem::path& path, const nlohmann::ordered_json& value) {
  std::string text;
  try {
    text = value.dump(2);
  } catch (const nlohmann::json::type_error& e) {  // invalid UTF-8
    fail(ErrorKind::kData, path.string(), "cannot be written as JSON: {}", e.what());
  }
  write_file_atomically(path, text + "\n");
}

}  // namespace lathe
