// Which tasks tell models apart (Heineman et al. 2025, arXiv:2508.13144): from what runs measured while they trained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lathe {

struct TaskSignal {
  std::string name;    // "TASK.METRIC"
  int64_t runs = 0;    // that have it
  int64_t points = 0;  // of each run at its end, at most as many as were asked for
  double mean = 0;     // of the runs' last scores
  // max |m_i − m_j| / mean over the runs' scores, each the mean of its last points.
  double signal = 0;
  // Standard deviation of a run's last points over their mean; of the runs, the root of the mean square.
  double noise = 0;
  double ratio() const { return noise > 0 ? signal / noise : 0; }  // 0 where it is not known
};

// Of every metric that at least two of the runs have measured at least twice; the largest ratio first. Errors: kData for
// fewer than two runs, and where none has measured tasks ([eval] in the recipe).
std::vector<TaskSignal> task_signals(const std::vector<std::filesystem::path>& runs, int64_t last);

}  // namespace lathe
