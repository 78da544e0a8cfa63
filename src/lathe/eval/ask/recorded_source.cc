#include "lathe/eval/ask/recorded_source.h"

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/eval/task/rows.h"

namespace lathe {
namespace {

constexpr size_t kItemsAtOnce = 64;

std::vector<std::string> responses_of(const nlohmann::ordered_json& row, const std::string& place) {
  const auto found = row.find("responses");
  const bool fits = found != row.end() && found->is_array() && !found->empty() &&
                    std::ranges::all_of(*found, [](const auto& each) { return each.is_string(); });
  require(fits, ErrorKind::kData, place,
          "has no `responses`, a list with one text or more; an answer that is empty is \"\"");
  return found->get<std::vector<std::string>>();
}

}  // namespace

RecordedSource::RecordedSource(const std::filesystem::path& file) : file_(file) {
  const TaskRows rows = read_task_rows(file);
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    const auto& row = rows.rows[i].fields;
    const std::string place = rows.place(i);
    const auto task = row.find("task"), id = row.find("id");
    require(task != row.end() && task->is_string() && id != row.end() && id->is_number_integer(),
            ErrorKind::kData, place,
            "needs `task`, the name of a task, and `id`, the number of its row from 0");
    const bool is_new = responses_
                            .emplace(std::pair{task->get<std::string>(), id->get<int64_t>()},
                                     responses_of(row, place))
                            .second;
    require(is_new, ErrorKind::kData, place, "is the second answer to item {} of task '{}'",
            id->get<int64_t>(), task->get<std::string>());
  }
}

void RecordedSource::ask(const TaskConfig& task, std::span<const EvalItem> items,
                         const std::function<void(std::span<NumberedAnswer>)>& take) {
  require(task.task_kind() == TaskKind::kGenerate, ErrorKind::kConfig, task.file.string(),
          "is of kind '{}', whose items are log-likelihoods, not texts; name a model instead of "
          "--responses",
          task.kind);
  std::vector<NumberedAnswer> answers;
  for (size_t i = 0; i < items.size(); ++i) {
    const auto found = responses_.find({task.name, items[i].id});
    require(found != responses_.end(), ErrorKind::kData, file_.string(),
            "has no answer to item {} of task '{}'; add the row {{\"task\": \"{}\", \"id\": {}, "
            "\"responses\": […]}}, or ask for fewer items with --limit",
            items[i].id, task.name, task.name, items[i].id);
    NumberedAnswer answer{.item = i, .answer = {}};
    answer.answer.responses = found->second;
    answers.push_back(std::move(answer));
    if (answers.size() == kItemsAtOnce || i + 1 == items.size()) {
      take(answers);
      answers.clear();
    }
  }
}

}  // namespace lathe
