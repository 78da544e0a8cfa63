// The tasks that --tasks names, with what they ask.
#pragma once

#include <string>
#include <vector>

#include "lathe/cli/commands/eval/tasks.h"
#include "lathe/eval/run/eval_run.h"

namespace lathe {

// "A,B" and "@FILE", a list with one a line, as single names.
std::vector<std::string> names_of_tasks(const std::vector<std::string>& given);

// Renders all, so that a row that cannot be asked is known before anything is computed. `model` is the folder whose chat
// template --chat asks for.
std::vector<AskedTask> ask_all(const TaskOptions& o, const std::optional<std::string>& model,
                               CommandContext& context);

}  // namespace lathe
