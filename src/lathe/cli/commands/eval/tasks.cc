#include "lathe/cli/commands/eval/tasks.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/eval/builtin/builtin_tasks.h"
#include "lathe/eval/task/task.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/manifest.h"
#include "lathe/io/mapped_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

// "A,B" and "@FILE", a list with one a line.
std::vector<std::string> names_of_tasks(const std::vector<std::string>& given) {
  std::vector<std::string> names;
  const auto add = [&](std::string_view list, char separator) {
    while (!list.empty()) {
      const size_t end = std::min(list.find(separator), list.size());
      std::string_view name = list.substr(0, end);
      if (name.ends_with('\r')) name.remove_suffix(1);
      if (!name.empty()) names.emplace_back(name);
      list.remove_prefix(std::min(end + 1, list.size()));
    }
  };
  for (const std::string& each : given) {
    if (each.starts_with('@'))
      add(read_file(each.substr(1), size_t{16} << 20), '\n');
    else
      add(each, ',');
  }
  require(!names.empty(), ErrorKind::kUsage, "--tasks",
          "names no task; give the names or files of some");
  return names;
}

std::vector<EvalTask> read_tasks(const TaskOptions& o, const Log& log) {
  std::vector<EvalTask> tasks;
  std::set<std::string> names;
  for (const std::string& given : names_of_tasks(o.tasks)) {
    for (TaskConfig& config : tasks_named(given, o.task_data)) {
      tasks.emplace_back(std::move(config), o.shots, Rng(static_cast<uint64_t>(o.seed)));
      const TaskConfig& c = tasks.back().config();
      require(names.insert(c.name).second, ErrorKind::kConfig, c.file.string(),
              "is named '{}', as another of these tasks is; change one of the names, or name it "
              "once",
              c.name);
      if (c.rows && *c.rows != tasks.back().size())
        log.warn("{} has {} rows, but {} expects {}; results are not those of the whole set",
                 c.data_path().string(), tasks.back().size(), c.name, *c.rows);
    }
  }
  return tasks;
}

int64_t items_of(const EvalTask& task, const TaskOptions& o) {
  return std::min(task.size(), o.limit.value_or(task.size()));
}

Json json_of(const EvalTask& task, const EvalItem& item) {
  Json json = {{"task", task.config().name}, {"id", item.id}};
  json["prompt"] = item.prompts.size() == 1 ? Json(item.prompts[0]) : Json(item.prompts);
  json["continuations"] = item.continuations;
  if (item.gold) json["gold"] = *item.gold;
  if (item.group) json["group"] = *item.group;
  if (item.chance) json["chance"] = *item.chance;
  return json;
}

Json write_items(const std::vector<EvalTask>& tasks, const TaskOptions& o,
                 const std::filesystem::path& file, CommandContext& context) {
  double all = 0, done = 0;
  for (const EvalTask& task : tasks) all += static_cast<double>(items_of(task, o));
  Progress progress(context.progress, "rendering", all, "items");
  AtomicFile items(file);
  Json counts = Json::object();
  for (const EvalTask& task : tasks) {
    for (int64_t id = 0; id < items_of(task, o); ++id) {
      items.write(json_of(task, task.item(id)).dump() + "\n");
      progress.update(++done, "");
    }
    counts[task.config().name] = {{"n", items_of(task, o)}};
  }
  progress.finish();
  items.commit();
  return counts;
}

}  // namespace

void TaskOptions::visit(Visitor& v) {
  v.field("tasks", tasks,
          "built-in tasks and suites (`lathe eval tasks`), and task files: A,B or @FILE for a list "
          "with one a line");
  v.field("task_data", task_data, "folder with the data of built-in tasks");
  v.field("shots", shots, "solved items before each", at_least(0));
  v.field("seed", seed, "of the shots that are drawn", at_least(0));
  v.field("limit", limit, "items of each task, from the first (default: all)", at_least(1));
  v.field("render", render, "write what would be asked");
}

int run_tasks(const TaskOptions& o, const std::optional<std::string>& out,
              CommandContext& context) {
  require(o.render, ErrorKind::kUsage, "--tasks",
          "models are not asked yet; add --render to see what would be, without a model");
  require(out.has_value(), ErrorKind::kUsage, "--out", "is missing; name a folder to write");
  const std::vector<EvalTask> tasks = read_tasks(o, context.log);
  require(std::ranges::find(context.given, "task_data") == context.given.end() ||
              std::ranges::any_of(tasks, [](const EvalTask& t) { return t.config().is_builtin; }),
          ErrorKind::kUsage, "command line",
          "--task-data means nothing here: none of these tasks is built in; leave it out");
  AtomicDirectory folder(*out);
  const Json counts = write_items(tasks, o, folder.temporary() / "items.jsonl", context);
  Manifest manifest = new_manifest("rendered tasks", context.command_line());
  for (const EvalTask& task : tasks)
    if (!task.config().is_builtin) add_input(manifest, task.config().file.string(), "task");
  write_manifest(manifest_path(folder.temporary(), true), manifest);
  folder.commit();
  if (context.json) {
    context.print_json({{"tasks", counts}, {"computed", 0}});
  } else {
    for (const auto& [name, count] : counts.items())
      context.out << fmt::format("{}: {} items\n", name, count["n"].get<int64_t>());
    context.out << "they are in " << *out << "/items.jsonl\n";
  }
  return 0;
}

}  // namespace lathe
