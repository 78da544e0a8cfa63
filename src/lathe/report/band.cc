#include "lathe/report/band.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lathe {
namespace {

constexpr double kGap = std::numeric_limits<double>::quiet_NaN();

// Points without an x say nothing of where they are.
std::vector<ChartPoint> with_x(std::vector<ChartPoint> points) {
  std::erase_if(points, [](const ChartPoint& p) { return !std::isfinite(p.x); });
  return points;
}

// On the straight line between the neighbours of x; x lies within the curve.
double value_at(const std::vector<ChartPoint>& points, double x) {
  const auto after = std::ranges::lower_bound(points, x, {}, &ChartPoint::x);
  if (after == points.end()) return kGap;
  if (after->x == x || after == points.begin()) return after->y;
  const ChartPoint &a = *(after - 1), &b = *after;
  return a.y + (b.y - a.y) * (x - a.x) / (b.x - a.x);
}

}  // namespace

CurveBand band_of(const std::vector<std::vector<ChartPoint>>& curves) {
  std::vector<std::vector<ChartPoint>> all;
  std::vector<double> places;
  double begin = -std::numeric_limits<double>::infinity(), end = -begin;
  for (const auto& curve : curves) {
    all.push_back(with_x(curve));
    if (all.back().empty()) return {};
    begin = std::max(begin, all.back().front().x);
    end = std::min(end, all.back().back().x);
    for (const ChartPoint& p : all.back()) places.push_back(p.x);
  }
  std::ranges::sort(places);
  places.erase(std::unique(places.begin(), places.end()), places.end());
  CurveBand band;
  for (const double x : places) {
    if (x < begin || x > end) continue;
    double sum = 0, low = kGap, high = kGap;
    for (const auto& curve : all) {
      const double y = value_at(curve, x);
      sum += y;
      low = std::fmin(low, y);
      high = std::fmax(high, y);
    }
    const bool whole = std::isfinite(sum);
    band.mean.push_back({x, whole ? sum / static_cast<double>(all.size()) : kGap});
    band.range.push_back({x, whole ? low : kGap, whole ? high : kGap});
  }
  return band;
}

}  // namespace lathe
