#include "lathe/lab/curves.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/io/json_file.h"
#include "lathe/lab/run_data.h"
#include "lathe/train/metrics.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

double x_of(const StepPoint& p, CurveX x) {
  switch (x) {
    case CurveX::kStep:
      return p.step;
    case CurveX::kTokens:
      return p.tokens;
    case CurveX::kFlops:
      return p.flops;
    case CurveX::kPosition:
      break;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

// A validation knows its step only; how far training was then stands in the line of that step, and before the
// first there was none.
std::vector<ChartPoint> points_of(const RunData& run, double ValidationPoint::*y, CurveX x) {
  std::map<double, double> place = {{0, 0}};
  for (const StepPoint& p : run.steps) place[p.step] = x_of(p, x);
  std::vector<ChartPoint> points;
  for (const ValidationPoint& p : run.validations) {
    const auto at = place.find(p.step);
    if (at != place.end()) points.push_back({at->second, p.*y});
  }
  return points;
}

std::vector<ChartPoint> points_of(const RunData& run, double StepPoint::*y, CurveX x) {
  std::vector<ChartPoint> points;
  for (const StepPoint& p : run.steps) points.push_back({x_of(p, x), p.*y});
  return points;
}

std::vector<ChartPoint> points_of(const RunData& run, CurveY y, CurveX x) {
  switch (y) {
    case CurveY::kValidationLoss:
      return points_of(run, &ValidationPoint::loss, x);
    case CurveY::kBitsPerByte:
      return points_of(run, &ValidationPoint::bits_per_byte, x);
    case CurveY::kValidationReward:
      return points_of(run, &ValidationPoint::reward, x);
    case CurveY::kLoss:
      return points_of(run, &StepPoint::loss, x);
    case CurveY::kGradientNorm:
      return points_of(run, &StepPoint::grad_norm, x);
    case CurveY::kReward:
      return points_of(run, &StepPoint::reward, x);
  }
  return {};
}

std::vector<ChartPoint> position_points(const fs::path& source) {
  std::error_code error;
  require(!fs::is_directory(source, error), ErrorKind::kData, source.string(),
          "is a folder, but a run does not record loss by position; give the file that `lathe eval "
          "MODEL --data SHARD --out FILE` writes");
  const Json tree = read_json_file(source);
  std::vector<ChartPoint> points;
  try {
    for (const Json& stretch : tree.at("by_position"))
      points.push_back({(stretch.at("from").get<double>() + stretch.at("to").get<double>()) / 2,
                        metric_value(stretch, "loss").value_or(std::nan(""))});
  } catch (const Json::exception&) {
    fail(ErrorKind::kFormat, source.string(),
         "has no loss by position; expected a file that `lathe eval --out FILE` wrote");
  }
  return points;
}

}  // namespace

std::vector<ChartPoint> read_curve(const fs::path& source, CurveY y, CurveX x) {
  if (x == CurveX::kPosition) {
    auto points = position_points(source);
    require(std::ranges::any_of(points, is_finite), ErrorKind::kData, source.string(),
            "has no finite loss by position; evaluate the model again");
    return points;
  }
  auto points = points_of(read_run(source), y, x);
  require(
      std::ranges::any_of(points, is_finite), ErrorKind::kData, (source / "metrics.jsonl").string(),
      "holds no finite numbers of this kind: bits per byte need data.valid and data.tokenizer, "
      "a validation loss needs data.valid, a reward a run that draws answers, and FLOPs a run of this "
      "version. Choose others with --y and --x");
  return points;
}

std::optional<double> first_at_or_below(const std::vector<ChartPoint>& points, double level) {
  for (size_t i = 0; i < points.size(); ++i) {
    const ChartPoint& now = points[i];
    if (!(now.y <= level)) continue;
    if (i == 0 || !(points[i - 1].y > now.y)) return now.x;
    const ChartPoint& before = points[i - 1];
    return before.x + (now.x - before.x) * (before.y - level) / (before.y - now.y);
  }
  return std::nullopt;
}

}  // namespace lathe
