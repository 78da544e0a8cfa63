// lathe eval --tasks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lathe/cli/frame/command.h"

namespace lathe {

struct TaskOptions {
  std::vector<std::string> tasks;
  std::string task_data = "task-data";
  int64_t shots = 0, seed = 0;
  std::optional<int64_t> limit;
  bool render = false;

  void visit(Visitor& v);
};

int run_tasks(const TaskOptions& options, const std::optional<std::string>& out,
              CommandContext& context);

}  // namespace lathe
