#include "lathe/cli/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lathe/cli/report/html.h"

namespace lathe {
namespace {

constexpr double kLeft = 56, kRight = 64, kTop = 44, kBottom = 34;

struct Frame {
  double x0, x1, y0, y1;  // of the data
  double width, height;   // of the drawing

  double px(double x) const { return kLeft + (x - x0) / (x1 - x0) * (width - kLeft - kRight); }
  double py(double y) const {
    return height - kBottom - (y - y0) / (y1 - y0) * (height - kTop - kBottom);
  }
};

Frame frame_of(const ChartSpec& spec) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Frame f{kInfinity, -kInfinity, kInfinity, -kInfinity, double(spec.width), double(spec.height)};
  for (const ChartSeries& s : spec.series) {
    for (const ChartPoint& p : s.points) {
      if (!std::isfinite(p.y)) continue;
      f.x0 = std::min(f.x0, p.x);
      f.x1 = std::max(f.x1, p.x);
      f.y0 = std::min(f.y0, p.y);
      f.y1 = std::max(f.y1, p.y);
    }
  }
  if (f.x0 > f.x1) f = {0, 1, 0, 1, f.width, f.height};
  if (spec.from_zero) f.y0 = std::min(f.y0, 0.0);
  if (f.x0 == f.x1) f.x1 = f.x0 + 1;
  const double pad = f.y0 == f.y1 ? std::max(std::abs(f.y0) * 0.1, 1e-12) : 0.04 * (f.y1 - f.y0);
  if (!spec.from_zero || f.y0 < 0) f.y0 -= pad;
  f.y1 += pad;
  return f;
}

// Means over equal stretches, two to a pixel column at most.
std::vector<ChartPoint> thinned(const std::vector<ChartPoint>& points, double columns) {
  const auto most = static_cast<size_t>(std::max(2.0, columns));
  if (points.size() <= most) return points;
  std::vector<ChartPoint> out;
  for (size_t i = 0; i < most; ++i) {
    const size_t begin = points.size() * i / most, end = points.size() * (i + 1) / most;
    ChartPoint mean{0, 0};
    for (size_t j = begin; j < end; ++j) {
      mean.x += points[j].x;
      mean.y += points[j].y;
    }
    const auto n = static_cast<double>(end - begin);
    out.push_back({mean.x / n, mean.y / n});
  }
  return out;
}

std::string number_text(double v) {
  const double size = std::abs(v);
  constexpr std::pair<double, char> kLarge[] = {{1e15, 'P'}, {1e12, 'T'}, {1e9, 'G'}, {1e6, 'M'}};
  for (const auto& [unit, letter] : kLarge)
    if (size >= unit) return fmt::format("{:.3g}{}", v / unit, letter);
  if (size >= 1e4) return fmt::format("{:.3g}k", v / 1e3);
  if (size > 0 && size < 1e-3) return fmt::format("{:.1e}", v);
  return fmt::format("{:.4g}", v);
}

std::string grid(const ChartSpec& spec, const Frame& f) {
  std::string svg;
  for (const double y : axis_ticks(f.y0, f.y1, 5))
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text class=\"tick\" x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        kLeft, f.width - kRight, f.py(y), kLeft - 8, f.py(y) + 4, number_text(y));
  for (const double x : axis_ticks(f.x0, f.x1, 7))
    svg += fmt::format(
        "<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
        f.px(x), f.height - kBottom + 18, number_text(x));
  return svg + fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                           f.width - kRight + 10, f.height - kBottom + 18,
                           html_escaped(spec.x_label));
}

std::string line(const ChartSeries& s, const Frame& f) {
  std::string path, dots;
  const double columns = f.width - kLeft - kRight;
  for (const ChartPoint& p : thinned(s.points, s.faint ? columns : columns / 2)) {
    if (!std::isfinite(p.y)) continue;
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", f.px(p.x), f.py(p.y));
    if (s.dots)
      dots += fmt::format("<circle class=\"dot c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>",
                          s.color, f.px(p.x), f.py(p.y));
  }
  if (path.empty()) return "";
  return fmt::format("<path class=\"{} c{}\" d=\"{}\"/>{}\n", s.faint ? "raw" : "line", s.color,
                     path, dots);
}

// The last value beside the end of each line; labels that would touch are moved apart.
std::string end_labels(const ChartSpec& spec, const Frame& f) {
  struct Label {
    double y;
    int color;
    std::string text;
  };
  std::vector<Label> labels;
  for (const ChartSeries& s : spec.series)
    if (!s.faint && !s.points.empty() && std::isfinite(s.points.back().y))
      labels.push_back({f.py(s.points.back().y), s.color, number_text(s.points.back().y)});
  std::ranges::sort(labels, {}, &Label::y);
  std::string svg;
  double lowest = 0;
  for (Label& l : labels) {
    l.y = std::max(l.y, lowest + 14);
    lowest = l.y;
    svg += fmt::format("<text class=\"end c{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", l.color,
                       f.width - kRight + 8, l.y + 4, l.text);
  }
  return svg;
}

std::string heading(const ChartSpec& spec) {
  std::string svg = fmt::format("<text class=\"title\" x=\"{}\" y=\"22\">{}</text>\n", 12,
                                html_escaped(spec.title));
  double x = spec.width - kRight;
  for (auto s = spec.series.rbegin(); s != spec.series.rend(); ++s) {
    if (s->name.empty()) continue;
    svg +=
        fmt::format("<text class=\"legend\" x=\"{0:.1f}\" y=\"22\" text-anchor=\"end\">{1}</text>",
                    x, html_escaped(s->name));
    x -= 7.0 * static_cast<double>(s->name.size()) + 24;
    svg += fmt::format("<path class=\"{} c{}\" d=\"M{:.1f} 18 h16\"/>\n", s->faint ? "raw" : "line",
                       s->color, x);
    x -= 14;
  }
  return svg;
}

constexpr const char* kColors =
    ":root{--ink:#1c2430;--soft:#64707f;--grid:#e4e8ee;--card:#ffffff;--c1:#2563eb;--c2:#d9480f;--"
    "c3:#0f8a5f;--c4:#8b3fc7}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#96a1b0;--grid:#2a3340;--card:#"
    "161c25;"
    "--c1:#6ea8ff;--c2:#ff9259;--c3:#4fd1a1;--c4:#c792ff}}";

}  // namespace

std::string chart_style() {
  std::string css =
      "svg.chart text{font:12px system-ui,-apple-system,'Segoe UI',sans-serif;fill:var(--soft)}"
      "svg.chart .title{font-size:14px;font-weight:600;fill:var(--ink)}"
      "svg.chart .grid{stroke:var(--grid);stroke-width:1}"
      "svg.chart .line{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}"
      "svg.chart .raw{fill:none;stroke-width:1;opacity:.35}"
      "svg.chart .end{font-weight:600}";
  for (int c = 1; c <= 4; ++c)
    css += fmt::format(
        "svg.chart .line.c{0},svg.chart .raw.c{0}{{stroke:var(--c{0})}}svg.chart "
        ".dot.c{0},svg.chart .end.c{0}{{fill:var(--c{0})}}",
        c);
  return kColors + css;
}

std::string draw_chart(const ChartSpec& spec, ChartUse use) {
  const Frame f = frame_of(spec);
  std::string svg = fmt::format(
      "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" "
      "role=\"img\" aria-label=\"{}\">\n",
      spec.width, spec.height, html_escaped(spec.title));
  if (use == ChartUse::kFile)
    svg += fmt::format(
        "<style>{}</style><rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"var(--card)\"/>\n",
        chart_style());
  svg += heading(spec) + grid(spec, f);
  for (const bool faint : {true, false})
    for (const ChartSeries& s : spec.series)
      if (s.faint == faint) svg += line(s, f);
  return svg + end_labels(spec, f) + "</svg>\n";
}

std::vector<ChartPoint> smoothed(const std::vector<ChartPoint>& points, double keep) {
  std::vector<ChartPoint> out;
  double mean = 0, weight = 0;
  for (const ChartPoint& p : points) {
    if (!std::isfinite(p.y)) continue;
    mean = keep * mean + (1 - keep) * p.y;
    weight = keep * weight + (1 - keep);
    out.push_back({p.x, mean / weight});
  }
  return out;
}

std::vector<double> axis_ticks(double low, double high, int count) {
  const double rough = (high - low) / std::max(count, 1);
  if (!(rough > 0) || !std::isfinite(rough)) return {};
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= rough) {
      step = factor * power;
      break;
    }
  std::vector<double> ticks;
  const double first = std::ceil(low / step);
  for (double i = first; i * step <= high && ticks.size() < 50; ++i)
    ticks.push_back(i * step + 0.0);
  return ticks;
}

}  // namespace lathe
