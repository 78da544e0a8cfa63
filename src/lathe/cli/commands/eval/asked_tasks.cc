#include "lathe/cli/commands/eval/asked_tasks.h"

#include <algorithm>
#include <set>

#include "lathe/base/error.h"
#include "lathe/cli/commands/eval/answering.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/eval/builtin/builtin_tasks.h"
#include "lathe/io/mapped_file.h"
#include "lathe/text/chat_template.h"

namespace lathe {
namespace {

std::optional<ChatForm> chat_form(const TaskOptions& o, const std::optional<std::string>& model) {
  if (!o.chat) return std::nullopt;
  require(
      model && !is_address(*model), ErrorKind::kUsage, "--chat",
      "needs the folder of a model, whose chat template it is; a server applies its own to every "
      "prompt");
  const auto chat = std::make_shared<ChatTemplate>(ChatTemplate::load(*model));
  return ChatForm{
      .text =
          [chat](const nlohmann::ordered_json& messages) {
            return chat->text({{"messages", messages}, {"add_generation_prompt", true}});
          },
      .system = o.system,
      .shots_as_turns = o.shots_as_turns};
}

std::vector<EvalTask> read_tasks(const TaskOptions& o, const std::optional<ChatForm>& chat,
                                 const Log& log) {
  std::vector<EvalTask> tasks;
  std::set<std::string> names;
  for (const std::string& given : names_of_tasks(o.tasks)) {
    for (TaskConfig& config : tasks_named(given, o.task_data)) {
      tasks.emplace_back(std::move(config), o.shots, Rng(static_cast<uint64_t>(o.seed)), chat);
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

}  // namespace

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

std::vector<AskedTask> ask_all(const TaskOptions& o, const std::optional<std::string>& model,
                               CommandContext& context) {
  std::vector<EvalTask> tasks = read_tasks(o, chat_form(o, model), context.log);
  require(std::ranges::find(context.given, "task_data") == context.given.end() ||
              std::ranges::any_of(tasks, [](const EvalTask& t) { return t.config().is_builtin; }),
          ErrorKind::kUsage, "command line",
          "--task-data means nothing here: none of these tasks is built in; leave it out");
  double all = 0, before = 0;
  for (const EvalTask& task : tasks)
    all += static_cast<double>(std::min(task.size(), o.limit.value_or(task.size())));
  Progress progress(context.progress, "rendering", all, "items");
  std::vector<AskedTask> asked;
  for (EvalTask& task : tasks) {
    asked.push_back(ask_of(std::move(task), o.limit, [&](int64_t done) {
      throw_if_interrupted();
      progress.update(before + static_cast<double>(done), "");
    }));
    before += static_cast<double>(asked.back().items.size());
  }
  progress.finish();
  return asked;
}

}  // namespace lathe
