// Line charts as SVG.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "lathe/report/chart_axis.h"

namespace lathe {

struct ChartPoint {
  double x, y;
};

// Points with a coordinate that is not finite are gaps, on a logarithmic axis also those at or
// below 0: lines do not pass through them, and they do not extend an axis.
inline bool is_finite(const ChartPoint& p) { return std::isfinite(p.x) && std::isfinite(p.y); }

struct ChartSpan {
  double x, low, high;
};

struct ChartSeries {
  std::string name;    // in the legend; empty: not in it
  int color = 1;       // from 1; six hues, then the same ones dashed, dotted, dashed and dotted
  bool faint = false;  // a thin background line, such as raw values behind smoothed ones
  bool dots = false;   // mark every point
  std::vector<ChartPoint> points;
  std::vector<ChartSpan> band = {};  // a filled range behind the line
};

struct ChartSpec {
  std::string title, x_label = "step";
  std::vector<ChartSeries> series;
  bool from_zero = false;         // a linear y axis begins at 0
  int width = 560, height = 220;  // a legend that does not fit next to the title adds to the height
  AxisScale x_scale = AxisScale::kLinear, y_scale = AxisScale::kLinear;
};

// kPage: the style is that of the page; kFile: the SVG contains it, for light and dark.
enum class ChartUse { kPage, kFile };

// A complete <svg> element. Series of many points are thinned to the drawing's resolution by
// averaging.
std::string draw_chart(const ChartSpec& spec, ChartUse use);

// The CSS of charts, which also sets the variables --ink, --soft, --grid, --card and --c1, --c2, …
// for the page around them.
std::string chart_style();

// The RunningMean of the y values; gaps are kept.
std::vector<ChartPoint> smoothed(const std::vector<ChartPoint>& points, double keep);

}  // namespace lathe
