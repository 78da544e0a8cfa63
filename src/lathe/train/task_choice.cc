#include "lathe/train/task_choice.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/strings.h"
#include "lathe/io/json_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct Ratio {
  std::string name;  // TASK.METRIC
  double ratio;
};

std::vector<Ratio> read_ratios(const std::filesystem::path& file) {
  const Json json = read_json_file(file);
  try {
    std::vector<Ratio> all;
    for (const Json& each : json.at("metrics"))
      all.push_back({each.at("name").get<std::string>(), each.at("ratio").get<double>()});
    return all;
  } catch (const Json::exception& error) {
    fail(ErrorKind::kFormat, file.string(),
         "is not what `lathe eval signal RUNS --out FILE` writes ({}); name such a file in "
         "eval.signal",
         error.what());
  }
}

// The task that "TASK.METRIC" is of: the longest name, since names may have dots. Null for none.
const std::string* task_of(const std::string& name, std::span<const std::string> tasks) {
  const std::string* found = nullptr;
  for (const std::string& task : tasks)
    if (name.starts_with(task + ".") && (!found || task.size() > found->size())) found = &task;
  return found;
}

}  // namespace

std::vector<ChosenTask> best_tasks(const std::filesystem::path& signal,
                                   std::span<const std::string> tasks, int64_t best) {
  require(best <= std::ssize(tasks), ErrorKind::kConfig, "eval.best",
          "is {}, but eval.tasks are {}; set it to fewer, or leave it and eval.signal out", best,
          counted(std::ssize(tasks), "task"));
  std::vector<ChosenTask> known;
  const std::vector<Ratio> ratios = read_ratios(signal);
  for (const std::string& task : tasks) {
    ChosenTask of{.name = task, .metric = {}};
    for (const Ratio& each : ratios) {
      if (task_of(each.name, tasks) != &task || (!of.metric.empty() && each.ratio <= of.ratio))
        continue;
      of.metric = each.name.substr(task.size() + 1);
      of.ratio = each.ratio;
    }
    if (!of.metric.empty()) known.push_back(std::move(of));
  }
  require(best <= std::ssize(known), ErrorKind::kConfig, signal.string(),
          "has {} of eval.tasks ({}), but eval.best is {}; measure them in two runs or more and "
          "write the file again with `lathe eval signal`, or set eval.best lower",
          known.empty() ? std::string("none") : fmt::format("{}", known.size()),
          join_some(std::vector(tasks.begin(), tasks.end())), best);
  std::ranges::stable_sort(known, std::greater(), &ChosenTask::ratio);
  known.resize(static_cast<size_t>(best));
  return known;
}

}  // namespace lathe
