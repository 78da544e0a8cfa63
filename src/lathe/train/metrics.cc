#include "lathe/train/metrics.h"

#include <fcntl.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "lathe/base/error.h"
#include "lathe/io/atomic_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// The lines of steps up to `last_step`. A line cut short by a kill is the last one and parses as
// nothing.
std::string lines_to_keep(const std::filesystem::path& path, int64_t last_step) {
  std::ifstream in(path);
  std::string kept, line;
  while (std::getline(in, line)) {
    const Json record = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (record.is_object() && record.value("step", last_step + 1) <= last_step) kept += line + "\n";
  }
  return kept;
}

}  // namespace

MetricsWriter::MetricsWriter(const std::filesystem::path& folder, int64_t last_step)
    : path_(folder / "metrics.jsonl"), board_(folder / "tensorboard") {
  write_file_atomically(
      path_, std::filesystem::exists(path_) ? lines_to_keep(path_, last_step) : std::string());
  file_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!file_.is_open()) fail_to_write(path_, errno);
}

void MetricsWriter::write(const Json& record) {
  write_all(file_, record.dump() + "\n", path_);
  const auto step = record.at("step").get<int64_t>();
  const bool validation = record.contains("val_loss");
  for (const auto& [key, value] : record.items())
    if (key != "step" && value.is_number())
      board_.scalar((validation ? "valid/" : "train/") + key, step, value.get<double>());
  if (record.contains("sample")) board_.text("sample", step, record["sample"].get<std::string>());
}

}  // namespace lathe
