// Combines runs of one setting with several seeds into one curve.
#pragma once

#include <vector>

#include "lathe/report/chart.h"

namespace lathe {

struct CurveBand {
  std::vector<ChartPoint> mean;
  std::vector<ChartSpan> range;  // the least and the greatest of the curves
};

// Covers the range of x that all curves share, at every x where one of them has a point; between
// its points a curve is a straight line, and a gap in one of them is a gap in the result. Needs at
// least one curve; x must not decrease along a curve. Empty if they share no range.
CurveBand band_of(const std::vector<std::vector<ChartPoint>>& curves);

}  // namespace lathe
