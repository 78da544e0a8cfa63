#include "lathe/train/step_lines.h"

#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "lathe/io/atomic_file.h"

namespace lathe {

using Json = nlohmann::ordered_json;

StepLines::StepLines(std::filesystem::path path, int64_t last_step,
                     const std::function<void(const Json& line)>& kept)
    : path_(std::move(path)) {
  {
    AtomicFile out(path_);
    std::string line;
    std::ifstream in(path_);
    while (std::getline(in, line)) {
      // A line cut short by a kill is the last one and parses as nothing.
      const Json record = Json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (!record.is_object() || record.value("step", last_step + 1) > last_step) continue;
      out.write(line + "\n");
      if (kept) kept(record);
    }
    out.commit();
  }
  file_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file_.is_open()) fail_to_write(path_, errno);
}

void StepLines::write(const Json& line) {
  write_all(file_, line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n", path_);
}

}  // namespace lathe
