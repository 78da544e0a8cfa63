// What models scored: the evaluations (`lathe eval --tasks`) below some folders, and what training runs measured on their own
// weights (section [eval] of a recipe).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lathe/eval/measure/statistics.h"

namespace lathe {

struct ScoredTask {
  std::string name;
  std::optional<std::string> questions;  // of the task's file
  int64_t items = 0;                     // 0: not known
  std::optional<double> chance;
  std::vector<std::pair<std::string, Estimate>> metrics;  // by name
};

// One evaluation, or one measurement of a run.
struct ScoredModel {
  std::filesystem::path folder;  // of the evaluation, or of the run
  std::string model;             // as the receipt names it; the run's folder
  std::string run;               // what made the weights: models of one run belong together
  std::optional<int64_t> step;   // of a run's measurement
  std::optional<double> flops;   // that training the model took
  std::string started;           // "2025-01-31T12:00:00Z"; empty for a run's measurement
  int64_t shots = 0;
  std::vector<ScoredTask> tasks;
  std::string note;  // what is damaged; empty: nothing
};

// Evaluations by their time, then each run's measurements by their step. What is searched: folder_search.h. Errors: kIo for
// a root that is not a folder.
std::vector<ScoredModel> list_scores(const std::vector<std::filesystem::path>& roots);

}  // namespace lathe
