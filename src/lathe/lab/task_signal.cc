#include "lathe/lab/task_signal.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "lathe/base/error.h"
#include "lathe/lab/run_data.h"

namespace lathe {
namespace {

// The last finite scores of a run.
std::vector<double> last_of(const std::vector<TaskScore>& scores, int64_t last) {
  std::vector<double> values;
  for (auto at = scores.rbegin(); at != scores.rend() && std::ssize(values) < last; ++at)
    if (std::isfinite(at->value)) values.push_back(at->value);
  return values;
}

double mean_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double each : x) sum += each;
  return sum / static_cast<double>(x.size());
}

double relative_deviation(const std::vector<double>& x) {
  const double mean = mean_of(x);
  double squares = 0;
  for (const double each : x) squares += (each - mean) * (each - mean);
  return mean == 0 ? 0 : std::sqrt(squares / static_cast<double>(x.size() - 1)) / std::abs(mean);
}

TaskSignal signal_of(const std::string& name, const std::vector<std::vector<double>>& ends) {
  TaskSignal result{.name = name, .runs = std::ssize(ends)};
  std::vector<double> scores;
  double squares = 0;
  for (const std::vector<double>& end : ends) {
    scores.push_back(mean_of(end));
    result.points = std::max(result.points, std::ssize(end));
    squares += std::pow(relative_deviation(end), 2);
  }
  result.mean = mean_of(scores);
  const auto [least, most] = std::ranges::minmax(scores);
  result.signal = result.mean == 0 ? 0 : (most - least) / std::abs(result.mean);
  result.noise = std::sqrt(squares / static_cast<double>(ends.size()));
  return result;
}

}  // namespace

std::vector<TaskSignal> task_signals(const std::vector<std::filesystem::path>& runs, int64_t last) {
  require(runs.size() >= 2, ErrorKind::kData, "runs",
          "{} was given; signal is what differs between models, so name two runs or more",
          runs.size() == 1 ? "one run" : "no run");
  std::map<std::string, std::vector<std::vector<double>>> ends;
  for (const auto& folder : runs)
    for (const auto& [name, scores] : read_run(folder).task_scores)
      if (auto end = last_of(scores, last); end.size() >= 2) ends[name].push_back(std::move(end));
  std::vector<TaskSignal> all;
  for (const auto& [name, of_runs] : ends)
    if (of_runs.size() >= 2) all.push_back(signal_of(name, of_runs));
  require(!all.empty(), ErrorKind::kData, runs[0].string(),
          "no two of these runs measured one task twice or more; name tasks in [eval] of their "
          "recipes, and set eval.every so that they are measured more often");
  std::ranges::stable_sort(all, std::greater(), &TaskSignal::ratio);
  return all;
}

}  // namespace lathe
