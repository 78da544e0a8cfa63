#include "lathe/cli/report/page.h"

namespace lathe {
namespace {

constexpr double kKeep = 0.9;  // about the last ten steps

template <class T, class F>
std::vector<ChartPoint> points_of(const std::vector<T>& records, F&& y) {
  std::vector<ChartPoint> out;
  for (const T& r : records) out.push_back({r.step, y(r)});
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

ChartSpec loss_chart(const RunData& run) {
  ChartSpec spec = raw_and_smooth("Loss, nats a token", "training, smoothed", 1,
                                  points_of(run.steps, [](const StepPoint& p) { return p.loss; }));
  spec.width = 760;
  spec.height = 330;
  if (!run.validations.empty())
    spec.series.push_back(
        {.name = "validation",
         .color = 2,
         .faint = false,
         .dots = true,
         .points = points_of(run.validations, [](const ValidationPoint& p) { return p.loss; })});
  return spec;
}

ChartSpec bits_chart(const RunData& run) {
  ChartSpec spec{.title = "Validation, bits a byte", .series = {}};
  ChartSeries series{.name = "", .color = 2, .faint = false, .dots = true, .points = {}};
  for (const ValidationPoint& p : run.validations)
    if (p.bits_per_byte) series.points.push_back({p.step, *p.bits_per_byte});
  spec.series.push_back(std::move(series));
  return spec;
}

ChartSpec rate_chart(const RunData& run) {
  ChartSpec spec{.title = "Learning rate", .series = {}, .from_zero = true};
  spec.series.push_back({.name = "",
                         .color = 3,
                         .faint = false,
                         .dots = false,
                         .points = points_of(run.steps, [](const StepPoint& p) { return p.lr; })});
  return spec;
}

}  // namespace

std::vector<NamedChart> run_charts(const RunData& run) {
  std::vector<NamedChart> charts;
  charts.push_back({"loss", loss_chart(run)});
  if (ChartSpec bits = bits_chart(run); !bits.series[0].points.empty())
    charts.push_back({"bits-per-byte", std::move(bits)});
  charts.push_back({"learning-rate", rate_chart(run)});
  charts.push_back({"gradient-norm", raw_and_smooth("Gradient norm, before clipping", "smoothed", 4,
                                                    points_of(run.steps, [](const StepPoint& p) {
                                                      return p.grad_norm;
                                                    }))});
  ChartSpec speed =
      raw_and_smooth("Tokens a second", "smoothed", 3,
                     points_of(run.steps, [](const StepPoint& p) { return p.tokens_per_s; }));
  speed.from_zero = true;
  charts.push_back({"tokens-per-second", std::move(speed)});
  return charts;
}

}  // namespace lathe
