// Runs of one setting with several seeds as one curve.
#pragma once

#include <vector>

#include "lathe/report/chart.h"

namespace lathe {

struct CurveBand {
  std::vector<ChartPoint> mean;
  std::vector<ChartSpan> range;  // the least and the greatest of the curves
};

// Over the stretch of x that all curves share, at every x that one of them has a point at; between
// its points a curve is a straight line, and across a gap of one of them the result has a gap, too.
// Needs at least one curve; x never falls along a curve. Empty when they share no stretch.
CurveBand band_of(const std::vector<std::vector<ChartPoint>>& curves);

}  // namespace lathe
