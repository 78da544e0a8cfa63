#include "lathe/eval/run/run_difference.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/eval/measure/metrics.h"
#include "lathe/eval/run/receipt.h"
#include "lathe/eval/task/rows.h"
#include "lathe/io/json_file.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

using Items = std::map<int64_t, EvalRecord>;

struct Run {
  Json receipt;
  std::vector<std::string> tasks;  // in the order of the file
  std::map<std::string, Items> items;
};

Run read_run(const fs::path& folder) {
  std::error_code ignored;
  require(
      fs::exists(folder / "receipt.json", ignored) && fs::exists(folder / "items.jsonl", ignored),
      ErrorKind::kData, folder.string(),
      "is no folder of an evaluation, which has receipt.json and items.jsonl; name what --out of "
      "`lathe eval` wrote");
  Run run{.receipt = read_json_file(folder / "receipt.json"), .tasks = {}, .items = {}};
  const TaskRows lines = read_task_rows(folder / "items.jsonl");
  for (size_t i = 0; i < lines.rows.size(); ++i) {
    EvalRecord record = record_of(lines.rows[i].fields, lines.place(i));
    if (!run.items.contains(record.task)) run.tasks.push_back(record.task);
    run.items[record.task].emplace(record.item.id, std::move(record));
  }
  return run;
}

// One number of an item: the mean of a list that is not empty.
double value_of(const Json& metric) {
  if (metric.is_boolean()) return metric.get<bool>() ? 1 : 0;
  if (!metric.is_array()) return metric.get<double>();
  double sum = 0;
  for (const Json& each : metric) sum += value_of(each);
  return sum / static_cast<double>(metric.size());
}

// Not where a judge gave no verdict, which is an empty list.
bool has_value(const EvalRecord& record, const std::string& metric) {
  const auto found = record.metrics.find(metric);
  return found != record.metrics.end() && !(found->is_array() && found->empty());
}

// The items of both, pair by pair.
struct Pairs {
  std::vector<double> a, b;
  std::vector<EvalRecord> records;
};

Pairs pairs_of(const Items& a, const Items& b, const std::string& metric) {
  Pairs pairs;
  for (const auto& [id, of_a] : a) {
    const auto of_b = b.find(id);
    if (of_b == b.end() || !has_value(of_a, metric) || !has_value(of_b->second, metric)) continue;
    pairs.a.push_back(value_of(of_a.metrics[metric]));
    pairs.b.push_back(value_of(of_b->second.metrics[metric]));
    pairs.records.push_back(of_a);
  }
  return pairs;
}

TaskDifference difference_of(const Pairs& pairs) {
  TaskDifference result;
  result.n = std::ssize(pairs.a);
  std::vector<double> differences;
  int64_t up = 0, down = 0;
  for (size_t i = 0; i < pairs.a.size(); ++i) {
    differences.push_back(pairs.b[i] - pairs.a[i]);
    up += differences.back() > 0;
    down += differences.back() < 0;
    if (differences.back() != 0) result.changed.push_back(pairs.records[i].item.id);
  }
  const std::vector<size_t> clusters = clusters_of(pairs.records);
  result.difference = ratio_estimate(differences, {}, clusters);
  const bool shares =
      std::ranges::all_of(pairs.a, is_verdict) && std::ranges::all_of(pairs.b, is_verdict);
  const int64_t groups = clusters.empty() ? result.n : std::ranges::max(clusters) + int64_t{1};
  result.p = shares ? mcnemar_p(up, down) : paired_t_p(result.difference, groups);
  const Estimate single = ratio_estimate(differences);
  const double error = single.error.value_or(0);
  result.items_for_one_point = items_for_one_point(error * error * static_cast<double>(result.n));
  return result;
}

}  // namespace

std::vector<TaskDifference> compare_runs(const fs::path& folder_a, const fs::path& folder_b,
                                         const std::string& metric) {
  const Run a = read_run(folder_a), b = read_run(folder_b);
  std::vector<TaskDifference> all;
  for (const std::string& task : a.tasks) {
    const auto of_b = b.items.find(task);
    if (of_b == b.items.end()) continue;
    const Items& of_a = a.items.at(task);
    const Json& metrics = of_a.begin()->second.metrics;
    require(!metrics.empty() && (metric.empty() || metrics.contains(metric)), ErrorKind::kData,
            folder_a.string(), "task '{}' has no metric '{}'", task, metric);
    const std::string name = metric.empty() ? metrics.begin().key() : metric;
    const Pairs pairs = pairs_of(of_a, of_b->second, name);
    require(!pairs.a.empty(), ErrorKind::kData, folder_b.string(),
            "has no item of task '{}' with '{}' that {} has, too", task, name, folder_a.string());
    all.push_back(difference_of(pairs));
    all.back().task = task;
    all.back().metric = name;
    all.back().why = differences(a.receipt, b.receipt, task);
  }
  require(!all.empty(), ErrorKind::kData, folder_b.string(), "has no task that {} has, too",
          folder_a.string());
  std::vector<double> p;
  for (const TaskDifference& each : all) p.push_back(each.p);
  const std::vector<double> adjusted = holm(p);
  for (size_t i = 0; i < all.size(); ++i) all[i].p_holm = adjusted[i];
  return all;
}

Json json_of(const std::vector<TaskDifference>& all) {
  Json tasks = Json::object();
  for (const TaskDifference& each : all) {
    tasks[each.task] = {{"metric", each.metric},
                        {"n", each.n},
                        {"changed", each.changed},
                        {"difference", each.difference.value},
                        {"stderr", nullptr},
                        {"ci95", nullptr},
                        {"p", each.p},
                        {"p_holm", each.p_holm},
                        {"items_for_one_point", each.items_for_one_point},
                        {"why", each.why}};
    if (each.difference.error) tasks[each.task]["stderr"] = *each.difference.error;
    if (each.difference.ci95)
      tasks[each.task]["ci95"] = {each.difference.ci95->first, each.difference.ci95->second};
  }
  return {{"tasks", std::move(tasks)}};
}

}  // namespace lathe
