// The section [eval] of a recipe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lathe/config/visit.h"

namespace lathe {

struct InRunEvalConfig {
  std::vector<std::string> tasks;
  std::string task_data = "task-data";
  int64_t shots = 0, limit = 100, every = 0, seed = 0;
  double share = 0.02;
  std::optional<std::string> signal;  // with `best`: train/task_choice.h
  std::optional<int64_t> best;

  void visit(Visitor& v);
};

}  // namespace lathe
