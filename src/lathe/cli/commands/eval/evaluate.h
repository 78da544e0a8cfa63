// A run of tasks: a model, a server or recorded answers, and the folder that it fills.
#pragma once

#include <optional>
#include <string>

#include "lathe/cli/commands/eval/tasks.h"

namespace lathe {

// The same options as those of the run that wrote this receipt.json, but for allow_code: who repeats a run decides whether
// programs run. Errors: kFormat for another file; those of
// require_unchanged().
struct RepeatedRun {
  TaskOptions options;
  std::optional<std::string> model;
};
RepeatedRun run_of_receipt(const std::string& file);

int evaluate_tasks(const TaskOptions& o, const std::optional<std::string>& model,
                   const std::string& out, CommandContext& context);

}  // namespace lathe
