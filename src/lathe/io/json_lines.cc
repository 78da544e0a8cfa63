#include "lathe/io/json_lines.h"

#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "lathe/io/atomic_file.h"

namespace lathe {

using Json = nlohmann::ordered_json;

JsonLines::JsonLines(std::filesystem::path path, const std::function<bool(const Json& line)>& keep)
    : path_(std::move(path)) {
  {
    AtomicFile out(path_);
    std::string line;
    std::ifstream in(path_);
    while (std::getline(in, line)) {
      const Json record = Json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (record.is_object() && keep(record)) out.write(line + "\n");
    }
    out.commit();
  }
  file_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file_.is_open()) fail_to_write(path_, errno);
}

std::string JsonLines::text_of(const Json& line) {
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void JsonLines::write(const Json& line) { write_all(file_, text_of(line), path_); }

}  // namespace lathe
