// Which of some tasks tell models apart best, by what `lathe eval signal --out FILE` wrote (Heineman et al. 2025,
// arXiv:2508.13144).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace lathe {

struct ChosenTask {
  std::string name, metric;  // of its metrics the one with the largest ratio
  double ratio = 0;          // of signal and noise
};

// The `best` of these tasks with the largest ratios, the largest first; equal ones in the order given. The file is
// {"metrics": [{"name": "TASK.METRIC", "ratio": number}, …]}, whatever else it has. Errors: kIo; kFormat for another file;
// kConfig for more than there are tasks, and for more than the file has of them.
std::vector<ChosenTask> best_tasks(const std::filesystem::path& signal,
                                   std::span<const std::string> tasks, int64_t best);

}  // namespace lathe
