// lathe eval tasks: what is built in.

#include <nlohmann/json.hpp>

#include "lathe/base/strings.h"
#include "lathe/cli/commands/eval/eval.h"
#include "lathe/eval/builtin/builtin_tasks.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct ListOptions {
  std::optional<std::string> name;

  void visit(Visitor& v) {
    v.positional("name", name, "print the file of this task, a beginning of one's own", {});
  }
};

Json listed() {
  Json tasks = Json::object(), suites = Json::object();
  for (const EmbeddedText& each : embedded_tasks()) {
    const TaskConfig c = read_builtin_task(each.name, "");
    tasks[c.name] = {{"kind", c.kind},        {"metrics", c.metrics}, {"rows", *c.rows},
                     {"license", *c.license}, {"source", *c.source},  {"get", *c.get}};
  }
  for (const TaskSuite& suite : task_suites())
    suites[suite.name] = {{"summary", suite.summary}, {"tasks", suite.tasks}};
  return {{"tasks", tasks}, {"suites", suites}};
}

void print(const Json& list, std::ostream& out) {
  const auto line = [&](const std::string& name, const std::string& kind, const std::string& rows,
                        const std::string& license, const std::string& metrics) {
    out << fmt::format("{:<16} {:<13} {:>5}  {:<15} {}\n", name, kind, rows, license, metrics);
  };
  line("task", "kind", "rows", "license", "metrics");
  for (const auto& [name, task] : list["tasks"].items())
    line(name, task["kind"], std::to_string(task["rows"].get<int64_t>()), task["license"],
         join(task["metrics"].get<std::vector<std::string>>(), ", "));
  out << "\nsuite\n";
  for (const auto& [name, suite] : list["suites"].items())
    out << fmt::format("{:<16} {}\n", name,
                       join(suite["tasks"].get<std::vector<std::string>>(), ", "));
}

int run_list(const ListOptions& o, CommandContext& context) {
  if (o.name) {
    const TaskConfig task = read_builtin_task(*o.name, "");
    if (context.json)
      context.print_json({{"name", task.name}, {"toml", task.text}});
    else
      context.out << task.text;
  } else if (context.json) {
    context.print_json(listed());
  } else {
    print(listed(), context.out);
  }
  return 0;
}

}  // namespace

Command eval_tasks_command() {
  return make_command<ListOptions>(
      {.name = "tasks",
       .summary = "list the built-in tasks and suites, or print one's file",
       .help =
           "Built-in tasks are named in `lathe eval --tasks`; a suite's name stands for its tasks. With NAME the task's\n"
           "file is printed: where its questions are from, how to get them, and how they are asked.\n\n"
           "  lathe eval tasks\n"
           "  lathe eval tasks hellaswag > mine.toml\n"},
      run_list);
}

}  // namespace lathe
