#include "lathe/report/chart_axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace lathe {

double ChartAxis::inner(double value) const {
  return scale_ == AxisScale::kLog ? std::log10(value) : value;
}

bool ChartAxis::can_place(double value) const {
  return std::isfinite(value) && (scale_ == AxisScale::kLinear || value > 0);
}

void ChartAxis::include(double value) {
  const double at = inner(value);
  low_ = empty_ ? at : std::min(low_, at);
  high_ = empty_ ? at : std::max(high_, at);
  empty_ = false;
}

void ChartAxis::pad(double share, double floor) {
  if (empty_) {
    low_ = 0;
    high_ = 1;
  }
  const bool one_value = low_ == high_;
  const double alone = scale_ == AxisScale::kLog ? 0.05 : std::max(std::abs(low_) * 0.1, 1e-12);
  const double room = one_value ? alone : share * (high_ - low_);
  const double least = scale_ == AxisScale::kLinear && low_ >= floor ? floor : low_ - room;
  low_ = std::max(low_ - room, least);
  high_ += room;
}

double ChartAxis::place(double value) const { return (inner(value) - low_) / (high_ - low_); }

std::vector<double> ChartAxis::ticks(int count) const {
  if (scale_ == AxisScale::kLinear) return axis_ticks(low_, high_, count);
  return log_axis_ticks(std::pow(10.0, low_), std::pow(10.0, high_), count);
}

std::vector<double> axis_ticks(double low, double high, int count) {
  const double rough = (high - low) / std::max(count, 1);
  if (!(rough > 0) || !std::isfinite(rough)) return {};
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  // Of 1, 2, 5 and 10 the nearest in ratio.
  const double ratio = rough / power;
  const double factor = ratio >= std::sqrt(50.0)   ? 10
                        : ratio >= std::sqrt(10.0) ? 5
                        : ratio >= std::sqrt(2.0)  ? 2
                                                   : 1;
  const double step = factor * power;
  std::vector<double> ticks;
  const double first = std::ceil(low / step);
  for (double i = first; i * step <= high && ticks.size() < 50; ++i)
    ticks.push_back(i * step + 0.0);
  return ticks;
}

std::vector<double> log_axis_ticks(double low, double high, int count) {
  if (!(low > 0) || !(high > low) || !std::isfinite(high)) return {};
  if (high / low < 3) return axis_ticks(low, high, count);
  const int first = static_cast<int>(std::floor(std::log10(low))),
            last = static_cast<int>(std::ceil(std::log10(high)));
  const int decades = last - first,
            stride = std::max(1, (decades + count - 1) / std::max(count, 1));
  const bool one = high / low < 10, few = one || 2 * decades <= count;
  std::vector<double> ticks;
  for (int power = first; power <= last; ++power) {
    // Counted from 10⁰, so that neighbouring pictures have the same ones.
    if (power % stride != 0) continue;
    for (const double factor : {1.0, 2.0, 3.0, 5.0, 7.0}) {
      const double tick = factor * std::pow(10.0, power);
      const bool wanted = factor == 1 || (few && (factor == 2 || factor == 5)) || one;
      if (wanted && tick >= low && tick <= high) ticks.push_back(tick);
    }
  }
  return ticks;
}

std::string axis_number(double v) {
  const double size = std::abs(v);
  constexpr std::pair<double, char> kLarge[] = {{1e15, 'P'}, {1e12, 'T'}, {1e9, 'G'}, {1e6, 'M'}};
  for (const auto& [unit, letter] : kLarge)
    if (size >= unit) return fmt::format("{:.3g}{}", v / unit, letter);
  if (size >= 1e4) return fmt::format("{:.3g}k", v / 1e3);
  if (size > 0 && size < 1e-3) return fmt::format("{:.1e}", v);
  return fmt::format("{:.4g}", v);
}

}  // namespace lathe
