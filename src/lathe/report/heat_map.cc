#include "lathe/report/heat_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lathe/report/chart_axis.h"
#include "lathe/report/html.h"

namespace lathe {
namespace {

constexpr double kLeft = 76, kRight = 12, kTop = 44, kRow = 30, kBelow = 44;

std::vector<double> ascending(const std::vector<HeatCell>& cells, double HeatCell::*coordinate) {
  std::vector<double> all;
  for (const HeatCell& cell : cells) all.push_back(cell.*coordinate);
  std::ranges::sort(all);
  const auto repeated = std::ranges::unique(all);
  all.erase(repeated.begin(), repeated.end());
  return all;
}

double place_of(const std::vector<double>& all, double value) {
  return static_cast<double>(std::ranges::lower_bound(all, value) - all.begin());
}

std::string tick(double x, double y, const char* anchor, const std::string& text) {
  return fmt::format(
      "<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
      html_escaped(text));
}

std::string cell_of(const HeatCell& cell, const HeatMapSpec& spec, double x, double y,
                    double width) {
  const double share = std::clamp((cell.value - spec.low) / (spec.high - spec.low), 0.0, 1.0);
  // Half the colour at most, so that what is written in it stays readable, light and dark.
  return fmt::format(
      "<g><title>{}</title><rect class=\"grid\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
      "height=\"{:.1f}\" fill=\"var(--c1)\" fill-opacity=\"{:.3f}\"/><text class=\"value\" "
      "fill=\"var(--ink)\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text></g>\n",
      html_escaped(cell.note), x, y, width, kRow, 0.5 * (std::isfinite(share) ? share : 0.0),
      x + width / 2, y + kRow / 2 + 4, axis_number(cell.value));
}

}  // namespace

std::string draw_heat_map(const HeatMapSpec& spec) {
  const std::vector<double> columns = ascending(spec.cells, &HeatCell::x),
                            rows = ascending(spec.cells, &HeatCell::y);
  const double width = (spec.width - kLeft - kRight) / static_cast<double>(columns.size()),
               bottom = kTop + kRow * static_cast<double>(rows.size());
  std::string svg = fmt::format(
      "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {:.0f}\" "
      "role=\"img\" aria-label=\"{}\">\n<text class=\"title\" x=\"12\" y=\"22\">{}</text>\n",
      spec.width, bottom + kBelow, html_escaped(spec.title), html_escaped(spec.title));
  for (const HeatCell& cell : spec.cells)
    svg += cell_of(cell, spec, kLeft + width * place_of(columns, cell.x),
                   kTop + kRow * place_of(rows, cell.y), width);
  for (size_t i = 0; i < columns.size(); ++i)
    svg += tick(kLeft + width * (static_cast<double>(i) + 0.5), bottom + 18, "middle",
                axis_number(columns[i]));
  for (size_t i = 0; i < rows.size(); ++i)
    svg += tick(kLeft - 8, kTop + kRow * (static_cast<double>(i) + 0.5) + 4, "end",
                axis_number(rows[i]));
  svg += tick(kLeft - 8, kTop - 8, "end", spec.y_label);
  svg += tick(kLeft + (spec.width - kLeft - kRight) / 2, bottom + 36, "middle", spec.x_label);
  return svg + "</svg>\n";
}

}  // namespace lathe
