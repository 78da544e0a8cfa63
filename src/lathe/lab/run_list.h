// The training runs below a folder and how far each has come.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

enum class RunState {
  kRunning,   // a process holds the lock of its folder
  kFinished,  // its model is written, of the last step in metrics.jsonl
  kStopped,   // neither
};
const char* name_of(RunState state);

struct RunRow {
  std::filesystem::path folder;
  RunState state = RunState::kStopped;
  int64_t steps = 0;                         // the last one in metrics.jsonl
  std::optional<int64_t> planned;            // train.steps of recipe.json
  std::optional<double> loss, val_loss;      // the last ones; may be NaN
  std::optional<double> reward, val_reward;  // of runs that learn from rewards, without a val_loss
  std::optional<double> age_seconds;         // since metrics.jsonl was last written
  std::string note;                          // what is damaged or missing; empty: nothing
};

// A run is a folder with a metrics.jsonl. The note of a row says if a folder cannot be entered or
// the files of a run cannot be read. What is searched: folder_search.h. The most recently written run comes first. Errors: kIo
// for a root that is not a folder.
std::vector<RunRow> list_runs(const std::vector<std::filesystem::path>& roots);

}  // namespace lathe
