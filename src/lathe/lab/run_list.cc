#include "lathe/lab/run_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "lathe/base/error.h"
#include "lathe/config/json_text.h"
#include "lathe/io/folder_lock.h"
#include "lathe/io/manifest.h"
#include "lathe/lab/folder_search.h"
#include "lathe/lab/run_data.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void add_note(RunRow& row, const std::string& note) {
  row.note += (row.note.empty() ? "" : "; ") + note;
}

void read_progress(RunRow& row, const RunData& run) {
  row.steps = static_cast<int64_t>(run.steps.back().step);
  row.loss = run.steps.back().loss;
  if (const double reward = run.steps.back().reward; !std::isnan(reward)) row.reward = reward;
  if (!run.validations.empty()) {
    const ValidationPoint& last = run.validations.back();
    const bool is_reward = !std::isnan(last.reward);
    (is_reward ? row.val_reward : row.val_loss) = is_reward ? last.reward : last.loss;
  }
  for (const RolloutFlag& flag : run.flags) add_note(row, flag.name);
  if (!run.recipe.is_object()) {
    add_note(row, "there is no recipe.json, so the number of planned steps is not known");
    return;
  }
  const Json::json_pointer steps("/train/steps");
  if (run.recipe.contains(steps) && run.recipe[steps].is_number_integer())
    row.planned = run.recipe[steps].get<int64_t>();
  else
    add_note(row, "recipe.json does not say how many steps are planned");
}

// A run that goes on after its end still has the result of its first end.
bool has_result_of(const fs::path& folder, int64_t step) {
  const fs::path path = manifest_path(result_of_run(folder), true);
  std::error_code error;
  if (!fs::exists(path, error)) return false;
  const Manifest manifest = read_manifest(path);
  if (manifest.facts.empty()) return false;
  const Json facts = parse_json(manifest.facts, path.string());
  return facts.is_object() && facts.value("steps", Json()) == step;
}

RunState state_of(const fs::path& folder, int64_t step) {
  if (is_locked(folder)) return RunState::kRunning;
  return has_result_of(folder, step) ? RunState::kFinished : RunState::kStopped;
}

RunRow row_of(const fs::path& folder) {
  RunRow row;
  row.folder = folder;
  std::error_code error;
  const auto written = fs::last_write_time(folder / "metrics.jsonl", error);
  if (!error)
    row.age_seconds =
        std::chrono::duration<double>(fs::file_time_type::clock::now() - written).count();
  try {
    if (is_locked(folder)) row.state = RunState::kRunning;  // also of a run without a step yet
    read_progress(row, read_run(folder));
    row.state = state_of(folder, row.steps);
  } catch (const Error& e) {
    add_note(row, e.what());
  } catch (const fs::filesystem_error& e) {
    add_note(row, e.what());
  }
  return row;
}

}  // namespace

const char* name_of(RunState state) {
  switch (state) {
    case RunState::kRunning:
      return "running";
    case RunState::kFinished:
      return "finished";
    case RunState::kStopped:
      return "stopped";
  }
  return "";
}

std::vector<RunRow> list_runs(const std::vector<fs::path>& roots) {
  std::vector<RunRow> rows;
  visit_folders(
      roots,
      [&](const fs::path& folder) {
        std::error_code error;
        if (fs::exists(folder / "metrics.jsonl", error)) rows.push_back(row_of(folder));
      },
      [&](const fs::path& folder, const std::error_code& error) {
        RunRow& row = rows.emplace_back();
        row.folder = folder;
        add_note(row, fmt::format("the folder cannot be listed: {}", error.message()));
      });
  static constexpr double kOldest = std::numeric_limits<double>::infinity();
  std::ranges::stable_sort(rows, [](const RunRow& a, const RunRow& b) {
    const double x = a.age_seconds.value_or(kOldest), y = b.age_seconds.value_or(kOldest);
    return x != y ? x < y : a.folder < b.folder;
  });
  return rows;
}

}  // namespace lathe
