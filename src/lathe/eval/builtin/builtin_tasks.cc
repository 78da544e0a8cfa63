#include "lathe/eval/builtin/builtin_tasks.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/config/read_write.h"
#include "lathe/config/recipe_file.h"

namespace lathe {

TaskConfig read_builtin_task(std::string_view name, const std::filesystem::path& task_data) {
  const EmbeddedText& found = find_in(embedded_tasks(), "task", name);
  TaskConfig config = parse_task_config(std::string(found.text),
                                        fmt::format("built-in task {}", found.name), task_data);
  config.is_builtin = true;
  return config;
}

void TaskSuite::visit(Visitor& v) {
  v.field("summary", summary, "what the tasks have in common", required());
  v.field("tasks", tasks, "names of built-in tasks", required());
}

const std::vector<TaskSuite>& task_suites() {
  static const std::vector<TaskSuite> kSuites = [] {
    std::vector<TaskSuite> all;
    for (const EmbeddedText& each : embedded_suites()) {
      const std::string where = fmt::format("suite {}", each.name);
      read_config(all.emplace_back(), parse_toml(each.text, where), where);
      all.back().name = each.name;
    }
    return all;
  }();
  return kSuites;
}

std::vector<TaskConfig> tasks_named(const std::string& name,
                                    const std::filesystem::path& task_data) {
  if (name.ends_with(".toml") || std::filesystem::is_regular_file(name))
    return {read_task_config(name)};
  std::vector<std::string> known = names_of(embedded_tasks());
  if (std::ranges::find(known, name) != known.end()) return {read_builtin_task(name, task_data)};
  std::vector<TaskConfig> tasks;
  for (const TaskSuite& suite : task_suites()) {
    known.push_back(suite.name);
    if (suite.name != name) continue;
    for (const std::string& each : suite.tasks) tasks.push_back(read_builtin_task(each, task_data));
  }
  require(!tasks.empty(), ErrorKind::kUsage, "--tasks",
          "'{}' is no built-in task or suite.{} Give one that `lathe eval tasks` lists, or the "
          "path of a .toml file",
          name, did_you_mean(name, known));
  return tasks;
}

}  // namespace lathe
