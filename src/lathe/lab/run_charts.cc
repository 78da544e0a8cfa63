#include <algorithm>

#include "lathe/lab/run_page.h"

namespace lathe {
namespace {

constexpr double kKeep = 0.9;  // about the last ten steps

template <class T>
std::vector<ChartPoint> points_of(const std::vector<T>& records, double T::*y) {
  std::vector<ChartPoint> out;
  for (const T& r : records) out.push_back({r.step, r.*y});
  return out;
}

ChartSpec raw_and_smooth(const std::string& title, const std::string& name, int color,
                         std::vector<ChartPoint> raw) {
  ChartSpec spec{.title = title, .series = {}};
  spec.series.push_back(
      {.name = "each step", .color = color, .faint = true, .dots = false, .points = raw});
  spec.series.push_back({.name = name,
                         .color = color,
                         .faint = false,
                         .dots = false,
                         .points = smoothed(raw, kKeep)});
  return spec;
}

ChartSeries validation_series(const RunData& run, double ValidationPoint::*y) {
  return {.name = "", .color = 2, .dots = true, .points = points_of(run.validations, y)};
}

// In a chart of the steps, if there are any such numbers.
void add_validation(const RunData& run, double ValidationPoint::*y, const char* name,
                    ChartSpec& spec) {
  ChartSeries series = validation_series(run, y);
  series.name = name;
  if (std::ranges::any_of(series.points, is_finite)) spec.series.push_back(std::move(series));
}

// What the run is about, in the width of the page.
ChartSpec main_chart(ChartSpec spec) {
  spec.width = 760;
  spec.height = 330;
  return spec;
}

ChartSpec loss_chart(const RunData& run) {
  ChartSpec spec = main_chart(raw_and_smooth("Loss, nats a token", "training, smoothed", 1,
                                             points_of(run.steps, &StepPoint::loss)));
  add_validation(run, &ValidationPoint::loss, "validation", spec);
  return spec;
}

ChartSpec reward_chart(const RunData& run) {
  ChartSpec spec =
      main_chart(raw_and_smooth("Mean reward", "answers that were learnt from, smoothed", 1,
                                points_of(run.steps, &StepPoint::reward)));
  add_validation(run, &ValidationPoint::reward, "answers to held-out prompts", spec);
  return spec;
}

ChartSpec rate_chart(const RunData& run) {
  ChartSpec spec{.title = "Learning rate", .series = {}, .from_zero = true};
  spec.series.push_back({.name = "", .color = 3, .points = points_of(run.steps, &StepPoint::lr)});
  return spec;
}

ChartSpec speed_chart(const RunData& run) {
  ChartSpec spec = raw_and_smooth("Tokens a second", "smoothed", 3,
                                  points_of(run.steps, &StepPoint::tokens_per_s));
  spec.from_zero = true;
  return spec;
}

// With the 95 % interval around each point.
NamedChart task_chart(const std::string& name, const std::vector<TaskScore>& scores) {
  constexpr double kQuantile = 1.96;
  ChartSeries series{.name = "", .color = 5, .dots = true, .points = {}};
  for (const TaskScore& score : scores) {
    series.points.push_back({score.step, score.value});
    if (std::isfinite(score.error))
      series.band.push_back({score.step, score.value - kQuantile * score.error,
                             score.value + kQuantile * score.error});
  }
  const size_t dot = name.rfind('.');
  return {"eval-" + name,
          {.title = name.substr(0, dot) + ", " + name.substr(dot + 1), .series = {series}}};
}

bool shows_something(const NamedChart& chart) {
  return std::ranges::any_of(chart.spec.series, [](const ChartSeries& s) {
    return std::ranges::any_of(s.points, is_finite);
  });
}

}  // namespace

std::vector<NamedChart> run_charts(const RunData& run) {
  const bool learns_rollouts =
      std::ranges::any_of(run.steps, [](const StepPoint& p) { return std::isfinite(p.reward); });
  std::vector<NamedChart> all = {
      {learns_rollouts ? "reward" : "loss", learns_rollouts ? reward_chart(run) : loss_chart(run)},
      {"bits-per-byte",
       {.title = "Validation, bits a byte",
        .series = {validation_series(run, &ValidationPoint::bits_per_byte)}}},
      {"learning-rate", rate_chart(run)},
      {"gradient-norm", raw_and_smooth("Gradient norm, before clipping", "smoothed", 4,
                                       points_of(run.steps, &StepPoint::grad_norm))},
      {"tokens-per-second", speed_chart(run)}};
  for (const auto& [name, scores] : run.task_scores) all.push_back(task_chart(name, scores));
  std::erase_if(all, [](const NamedChart& chart) { return !shows_something(chart); });
  return all;
}

}  // namespace lathe
