// The colours of charts. Every rule names its colour itself instead of a variable: programs that
// turn SVG files into pixels know no CSS variables.

#include "lathe/report/chart_style.h"

#include <fmt/format.h>

#include <iterator>

#include "lathe/report/chart.h"

namespace lathe {
namespace {

struct Palette {
  const char *ink, *soft, *grid, *card;
  const char* hues[kChartHues];
};
constexpr Palette kLight = {"#1c2430",
                            "#64707f",
                            "#e4e8ee",
                            "#ffffff",
                            {"#2563eb", "#d9480f", "#0f8a5f", "#8b3fc7", "#d6336c", "#946200"}};
constexpr Palette kDark = {"#e6eaf0",
                           "#96a1b0",
                           "#2a3340",
                           "#161c25",
                           {"#6ea8ff", "#ff9259", "#4fd1a1", "#c792ff", "#ff8ab5", "#e0bb4a"}};
// Of the first six series, the next six, … Lengths of strokes and gaps in pixels.
constexpr const char* kDashes[] = {"none", "8 4", "1.5 4.5", "10 4 1.5 4"};

std::string variables(const Palette& p) {
  std::string css =
      fmt::format(":root{{--ink:{};--soft:{};--grid:{};--card:{}", p.ink, p.soft, p.grid, p.card);
  for (int h = 0; h < kChartHues; ++h) css += fmt::format(";--c{}:{}", h + 1, p.hues[h]);
  return css + "}";
}

std::string colours(const Palette& p) {
  std::string css = fmt::format(
      "svg.chart text{{fill:{}}}svg.chart .title{{fill:{}}}svg.chart .grid{{stroke:{}}}"
      "svg.chart .back{{fill:{}}}",
      p.soft, p.ink, p.grid, p.card);
  for (int h = 0; h < kChartHues; ++h)
    css += fmt::format(
        "svg.chart .line.c{0},svg.chart .raw.c{0}{{stroke:{1}}}"
        "svg.chart .dot.c{0},svg.chart .band.c{0},svg.chart text.end.c{0}{{fill:{1}}}",
        h + 1, p.hues[h]);
  return css;
}

}  // namespace

std::string chart_class(int color) {
  const int hue = (color - 1) % kChartHues,
            dash = (color - 1) / kChartHues % static_cast<int>(std::size(kDashes));
  return fmt::format("c{}", hue + 1) + (dash > 0 ? fmt::format(" d{}", dash) : "");
}

std::string chart_style() {
  std::string css =
      variables(kLight) +
      "svg.chart text{font:12px system-ui,-apple-system,'Segoe "
      "UI',sans-serif}svg.chart .title{font-size:14px;font-weight:600}svg.chart "
      ".grid{stroke-width:1}svg.chart "
      ".line{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}svg.chart "
      ".raw{fill:none;stroke-width:1;opacity:.35}svg.chart "
      ".band{stroke:none;opacity:.18}svg.chart .end{font-weight:600}";
  for (size_t d = 1; d < std::size(kDashes); ++d)
    css += fmt::format("svg.chart .line.d{}{{stroke-dasharray:{}}}", d, kDashes[d]);
  return css + colours(kLight) + "@media(prefers-color-scheme:dark){" + variables(kDark) +
         colours(kDark) + "}";
}

}  // namespace lathe
