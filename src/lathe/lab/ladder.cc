#include "lathe/lab/ladder.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "lathe/eval/measure/metrics.h"

namespace lathe {
namespace {

// Whether x is above 0 by more than its error explains; without an error whatever it is.
double one_sided_p(double x, double error) {
  if (error > 0) return 0.5 * std::erfc(x / error / std::sqrt(2.0));
  return x > 0 ? 0 : 1;
}

// How likely this rung's score is where nothing was learnt. The first rung is what others are compared with.
std::optional<double> p_of(const Rung& rung, const Rung& first, bool is_share) {
  const double error = rung.score.error.value_or(0);
  if (!is_share)
    return std::min(1.0, 2 * one_sided_p(std::abs(rung.score.value - first.score.value),
                                         std::hypot(error, first.score.error.value_or(0))));
  if (!rung.chance) return std::nullopt;
  return one_sided_p(rung.score.value - *rung.chance, error);
}

std::optional<size_t> settled_from(const Ladder& ladder) {
  constexpr double kLevel = 0.05;
  const bool share = is_share(ladder.metric);
  const size_t skipped = share ? 0 : 1;
  std::vector<double> p;
  for (size_t i = skipped; i < ladder.rungs.size(); ++i) {
    const auto each = p_of(ladder.rungs[i], ladder.rungs[0], share);
    if (!each) return std::nullopt;
    p.push_back(*each);
  }
  const std::vector<double> adjusted = holm(p);
  size_t from = adjusted.size();
  while (from > 0 && adjusted[from - 1] < kLevel) --from;
  return from < adjusted.size() ? std::optional(from + skipped) : std::nullopt;
}

// The first metric that is a share, and the first that is none.
std::vector<const std::pair<std::string, Estimate>*> shown_of(const ScoredTask& task) {
  std::vector<const std::pair<std::string, Estimate>*> shown;
  for (const bool share : {true, false}) {
    const auto found = std::ranges::find_if(
        task.metrics, [&](const auto& metric) { return is_share(metric.first) == share; });
    if (found != task.metrics.end()) shown.push_back(&*found);
  }
  return shown;
}

bool is_ladder(const Ladder& ladder) {
  return ladder.rungs.front().flops < ladder.rungs.back().flops;
}

}  // namespace

std::vector<Ladder> ladders_of(std::span<const ScoredModel> models) {
  // Shares before the others, forms of the same questions beside each other.
  std::map<std::tuple<std::string, int64_t, bool, std::string, std::string>, Ladder> all;
  for (const ScoredModel& model : models) {
    if (!model.flops || *model.flops <= 0) continue;
    for (const ScoredTask& task : model.tasks) {
      const std::string questions = task.questions.value_or(task.name);
      for (const auto* metric : shown_of(task)) {
        Ladder& ladder =
            all[{questions, model.shots, !is_share(metric->first), task.name, metric->first}];
        ladder.task = task.name;
        ladder.metric = metric->first;
        ladder.questions = questions;
        ladder.shots = model.shots;
        ladder.rungs.push_back({.model = &model,
                                .flops = *model.flops,
                                .score = metric->second,
                                .chance = task.chance});
      }
    }
  }
  std::vector<Ladder> ladders;
  for (auto& [key, ladder] : all) {
    std::ranges::stable_sort(ladder.rungs, {}, &Rung::flops);
    if (!is_ladder(ladder)) continue;
    ladder.from = settled_from(ladder);
    ladders.push_back(std::move(ladder));
  }
  return ladders;
}

}  // namespace lathe
