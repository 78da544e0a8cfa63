// Line charts as SVG.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lathe {

struct ChartPoint {
  double x, y;
};

struct ChartSeries {
  std::string name;    // in the legend; empty: not in it
  int color = 1;       // 1 to 4
  bool faint = false;  // a thin background line, such as raw values behind smoothed ones
  bool dots = false;   // mark every point
  std::vector<ChartPoint> points;
};

struct ChartSpec {
  std::string title, x_label = "step";
  std::vector<ChartSeries> series;
  bool from_zero = false;  // the y axis begins at 0
  int width = 560, height = 220;
};

// kPage: colours come from the page's style; kFile: the SVG carries them, for light and dark.
enum class ChartUse { kPage, kFile };

// A complete <svg> element. Series of many points are thinned to the drawing's resolution by
// averaging.
std::string draw_chart(const ChartSpec& spec, ChartUse use);

// The CSS that gives charts their colours, from the variables of the page.
std::string chart_style();

// The exponential mean of the y values with weight `keep` on the past, corrected for its start.
std::vector<ChartPoint> smoothed(const std::vector<ChartPoint>& points, double keep);

// Round numbers at equal distances, about `count` of them, that lie in [low, high].
std::vector<double> axis_ticks(double low, double high, int count);

}  // namespace lathe
