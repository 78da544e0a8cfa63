// lathe eval --tasks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lathe/cli/frame/command.h"

namespace lathe {

struct TaskOptions {
  std::vector<std::string> tasks;
  std::vector<std::string> adapter;  // folders, which visit() does not have
  std::string task_data = "task-data";
  int64_t shots = 0, seed = 0;
  std::optional<int64_t> limit;
  std::string precision = "fp32", weights = "fp32";
  std::optional<std::string> model_name, responses, receipt, cache, judge, judge_name;
  int64_t retries = 3, concurrency = 4;
  std::string format = "lathe";
  std::vector<std::string> corpus;
  bool contamination = true;
  std::string system;
  bool chat = false, shots_as_turns = false;
  bool allow_code = false, resume = false, render = false;

  bool given() const { return !tasks.empty() || receipt; }
  void visit(Visitor& v);
};

int run_tasks(const TaskOptions& options, const std::optional<std::string>& model,
              const std::optional<std::string>& out, CommandContext& context);

}  // namespace lathe
