// The positions of values on an axis, and its ticks.
#pragma once

#include <string>
#include <vector>

namespace lathe {

enum class AxisScale { kLinear, kLog };

// Grows with the values that it includes; afterwards the smallest is at 0 and the largest at 1.
class ChartAxis {
 public:
  explicit ChartAxis(AxisScale scale) : scale_(scale) {}

  // Finite, and above 0 on a logarithmic axis: everything else is a gap.
  bool can_place(double value) const;
  void include(double value);  // one that can be placed
  // Leaves `share` of the length free at both ends, and gives an axis with one value or none a
  // length. A linear axis does not begin below `floor` unless a value does.
  void pad(double share, double floor);
  double place(double value) const;

  // Round numbers on the axis, ascending, about `count` of them.
  std::vector<double> ticks(int count) const;

 private:
  double inner(double value) const;  // what is linear along the axis

  AxisScale scale_;
  bool empty_ = true;
  double low_ = 0, high_ = 1;
};

// Round numbers at equal distances, about `count` of them, that lie in [low, high].
std::vector<double> axis_ticks(double low, double high, int count);
// As axis_ticks for a logarithmic axis, 0 < low < high: powers of ten, every second or third … of
// them where there are many, also 2 and 5 times them where there are few, 3 and 7 times within a
// decade; round numbers at equal distances where high is less than three times low.
std::vector<double> log_axis_ticks(double low, double high, int count);

// "0.25", "12k", "3.1e-05"
std::string axis_number(double value);

}  // namespace lathe
