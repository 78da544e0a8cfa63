// Two runs of the same tasks: which items changed, by how much, whether that can be chance, and why.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "lathe/eval/measure/statistics.h"

namespace lathe {

struct TaskDifference {
  std::string task, metric;
  int64_t n = 0;                 // items of both
  std::vector<int64_t> changed;  // whose value differs
  Estimate difference;           // of b − a over pairs; clustered where the items have groups
  // Where the metric is right or wrong: the exact test of McNemar; else the paired one of Student.
  double p = 1, p_holm = 1;  // p_holm: adjusted for all tasks
  double items_for_one_point = 0;
  std::vector<std::string> why;  // fields of the receipts that differ
};

// Of each task that both folders have, in the metric named, or the first of the task's. Errors: kIo, kData for folders of no
// evaluation, and for runs with no task, or no item of a task, in common.
std::vector<TaskDifference> compare_runs(const std::filesystem::path& a,
                                         const std::filesystem::path& b,
                                         const std::string& metric = {});

nlohmann::ordered_json json_of(const std::vector<TaskDifference>& all);

}  // namespace lathe
