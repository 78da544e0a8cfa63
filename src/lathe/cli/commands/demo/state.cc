#include "lathe/cli/commands/demo/state.h"

#include <chrono>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/io/json_file.h"

namespace lathe {

void DemoOptions::visit(Visitor& v) {
  v.field("minutes", minutes, "time limit; the demo chooses a model that fits it", above(0));
  v.field("text", text,
          "file or folder of text to train on (default: the Debian package fortunes)");
  v.field("out", out, "folder of the run; OUT-2 and so on if it holds a finished run");
  v.field("fresh", fresh, "start a new run next to an unfinished one instead of continuing it");
}

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

bool is_empty_or_absent(const fs::path& folder) {
  std::error_code error;
  return !fs::exists(folder, error) ||
         (fs::is_directory(folder, error) && fs::is_empty(folder, error));
}

fs::path choose_folder(const DemoOptions& o, const Log& log) {
  for (int n = 1;; ++n) {
    const fs::path folder = n == 1 ? o.out : fmt::format("{}-{}", o.out, n);
    if (is_empty_or_absent(folder)) return folder;
    std::error_code error;
    require(fs::exists(folder / "demo.json", error), ErrorKind::kUsage, folder.string(),
            "holds something that is not a demo; choose another folder with --out");
    const bool complete = read_json_file(folder / "demo.json").value("complete", false);
    if (!complete && !o.fresh) {
      log.info("continuing the unfinished demo in {} (--fresh would start a new one)",
               folder.string());
      return folder;
    }
    log.info("{} holds {} demo and is left as it is", folder.string(),
             complete ? "a finished" : "an unfinished");
  }
}

}  // namespace

DemoState::DemoState(const DemoOptions& options, const Log& log)
    : log_(log), folder_(choose_folder(options, log)) {
  fs::create_directories(folder_);
  if (fs::exists(folder_ / "demo.json")) json_ = read_json_file(folder_ / "demo.json");
  if (json_.is_object() && !json_["stages"].empty()) {
    check_same_wishes(options);
    return;
  }
  json_ = {{"lathe_demo", 1},
           {"minutes", options.minutes},
           {"text", options.text.value_or("")},
           {"complete", false},
           {"stages", Json::array()}};
  save();
}

void DemoState::save() const { write_json_file(folder_ / "demo.json", json_); }

void DemoState::check_same_wishes(const DemoOptions& options) const {
  require(json_.value("minutes", 0.0) == options.minutes &&
              json_.value("text", "") == options.text.value_or(""),
          ErrorKind::kUsage, folder_.string(),
          "was started with --minutes {}{}; give the same to continue it, or --fresh to start a "
          "new run next to it",
          json_.value("minutes", 0.0),
          json_.value("text", "").empty() ? "" : " --text " + json_.at("text").get<std::string>());
}

bool DemoState::is_done(const std::string& name) const {
  for (const Json& s : json_.at("stages"))
    if (s.at("name") == name) return true;
  return false;
}

double DemoState::seconds_so_far() const {
  double sum = json_.value("unfinished_seconds", 0.0);
  for (const Json& s : json_.at("stages")) sum += s.at("seconds").get<double>();
  return sum;
}

void DemoState::run(const DemoStage& stage, int number, int count) {
  if (is_done(stage.name)) {
    log_.info("[{}/{}] {}: already done", number, count, stage.name);
    return;
  }
  throw_if_interrupted();
  log_.info("[{}/{}] {}", number, count, stage.name);
  const auto start = Clock::now();
  const double before = json_.value("unfinished_seconds", 0.0);
  try {
    const std::string detail = stage.work();
    const double seconds = before + seconds_since(start);
    json_["unfinished_seconds"] = 0.0;
    json_["stages"].push_back({{"name", stage.name}, {"seconds", seconds}, {"detail", detail}});
    save();
    log_.info("      {} ({})", detail, human_time(seconds));
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInterrupted) throw;
    json_["unfinished_seconds"] = before + seconds_since(start);
    save();
    fail(ErrorKind::kInterrupted, "demo",
         "stopped during '{}'; the same command continues from there", stage.name);
  }
}

}  // namespace lathe
