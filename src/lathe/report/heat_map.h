// Grids of values as SVG: the larger the value, the fuller the colour of its cell.
#pragma once

#include <string>
#include <vector>

namespace lathe {

struct HeatCell {
  double x, y, value;
  std::string note = {};  // shown where one points at the cell
};

struct HeatMapSpec {
  std::string title, x_label, y_label;
  std::vector<HeatCell>
      cells;  // the columns and rows are their different x and y, ascending from the left and from the top
  double low = 0, high = 1;  // without colour, and with all of it
  int width = 560;
};

// A complete <svg> element for a page with chart_style(). Each cell has its value written in it; a pair of x and y without one
// is left out. A value that is not finite, or beyond `low` and `high`, has the colour of the nearer end.
std::string draw_heat_map(const HeatMapSpec& spec);

}  // namespace lathe
