// The styles that distinguish the series of a chart.
#pragma once

#include <string>

namespace lathe {

inline constexpr int kChartHues = 6;

// The classes of a series' lines and labels in chart_style(): "c2", or "c2 d1" for the second hue,
// dashed. `color` counts from 1.
std::string chart_class(int color);

}  // namespace lathe
