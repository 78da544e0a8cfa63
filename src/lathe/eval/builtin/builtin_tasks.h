// Tasks that the program knows: files of tasks/ in the form of every task file (task/task_config.h), whose questions are
// those of public sets and are asked as lm-evaluation-harness 0.4.13 asks them, where it has them. They are not part of the
// program: each task says under `get` how its data is got, and lies below a folder of tasks' data.
//
// A new task is one file in tasks/, a new suite one in suites/.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/eval/builtin/embedded.h"
#include "lathe/eval/task/task_config.h"

namespace lathe {

// `task_data`: the folder that the names of its data are below. Errors: kConfig for an unknown name, with the nearest.
TaskConfig read_builtin_task(std::string_view name, const std::filesystem::path& task_data);

// Tasks that are run together.
struct TaskSuite {
  std::string name, summary;
  std::vector<std::string> tasks;  // built-in ones

  void visit(Visitor& v);
};
const std::vector<TaskSuite>& task_suites();

// What a name on a command line stands for: a file (it exists, or ends in .toml), a built-in task, or the tasks of a
// suite. Errors: those of read_task_config(); kUsage for any other, with the nearest name.
std::vector<TaskConfig> tasks_named(const std::string& name,
                                    const std::filesystem::path& task_data);

}  // namespace lathe
