// A chart is heading, grid, bands, lines and labels, drawn in that order. A series is first cut
// into stretches at its gaps, and each stretch thinned to one point a pixel column, so that a run
// of a million steps is a small file.

#include "lathe/report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "lathe/base/utf8.h"
#include "lathe/report/chart_style.h"
#include "lathe/report/html.h"
#include "lathe/report/running_mean.h"

namespace lathe {
namespace {

constexpr double kLeft = 56, kRight = 64, kTop = 44, kBottom = 34;

// A legend beside the title, or in rows below it.
struct Legend {
  struct Item {
    std::string text;
    double x, y;  // of the stroke; the text is behind it
    size_t series;
  };
  std::vector<Item> items;
  double extra_height = 0;
};

struct Frame {
  ChartAxis x, y;
  double width, height, top;  // of the drawing

  double px(double v) const { return kLeft + x.place(v) * (width - kLeft - kRight); }
  double py(double v) const { return height - kBottom - y.place(v) * (height - top - kBottom); }
  bool can_place(const ChartPoint& p) const { return x.can_place(p.x) && y.can_place(p.y); }
};

Frame frame_of(const ChartSpec& spec, double extra_height) {
  Frame f{ChartAxis(spec.x_scale), ChartAxis(spec.y_scale), double(spec.width),
          spec.height + extra_height, kTop + extra_height};
  const auto include = [&f](const ChartPoint& p) {
    if (!f.can_place(p)) return;
    f.x.include(p.x);
    f.y.include(p.y);
  };
  for (const ChartSeries& s : spec.series) {
    for (const ChartPoint& p : s.points) include(p);
    for (const ChartSpan& b : s.band) {
      include({b.x, b.low});
      include({b.x, b.high});
    }
  }
  const bool from_zero = spec.from_zero && spec.y_scale == AxisScale::kLinear;
  if (from_zero) f.y.include(0);
  constexpr double kNone = -std::numeric_limits<double>::infinity();
  f.x.pad(0, kNone);
  f.y.pad(0.04, from_zero ? 0 : kNone);
  return f;
}

std::vector<std::vector<ChartPoint>> stretches(const std::vector<ChartPoint>& points,
                                               const Frame& f) {
  std::vector<std::vector<ChartPoint>> out;
  bool gap = true;
  for (const ChartPoint& p : points) {
    const bool there = f.can_place(p);
    if (there && gap) out.emplace_back();
    if (there) out.back().push_back(p);
    gap = !there;
  }
  return out;
}

// Means over the points of each of `columns` equal parts of the drawing's width.
std::vector<ChartPoint> thinned(const std::vector<ChartPoint>& points, const Frame& f,
                                double columns) {
  if (points.size() <= static_cast<size_t>(columns)) return points;
  const auto column = [&](const ChartPoint& p) { return std::floor(f.x.place(p.x) * columns); };
  std::vector<ChartPoint> out;
  for (size_t begin = 0, end = 0; begin < points.size(); begin = end) {
    ChartPoint mean{0, 0};
    for (; end < points.size() && column(points[end]) == column(points[begin]); ++end) {
      mean.x += points[end].x;
      mean.y += points[end].y;
    }
    const auto n = static_cast<double>(end - begin);
    out.push_back({mean.x / n, mean.y / n});
  }
  return out;
}

// About as wide as it is drawn; there is no font here to ask.
double text_width(const std::string& text) {
  double width = 0;
  for (const char c : text)
    if ((c & 0xC0) != 0x80) width += 6.8;  // the first byte of a character
  return width;
}

std::string grid(const ChartSpec& spec, const Frame& f) {
  std::string svg;
  for (const double y : f.y.ticks(5))
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{1:.1f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text class=\"tick\" x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        kLeft, f.width - kRight, f.py(y), kLeft - 8, f.py(y) + 4, axis_number(y));
  for (const double x : f.x.ticks(7)) {
    // The name of the axis stands behind its end.
    const std::string text = axis_number(x);
    const double at = std::min(f.px(x), f.width - kRight + 2 - text_width(text) / 2);
    svg += fmt::format(
        "<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", at,
        f.height - kBottom + 18, text);
  }
  return svg + fmt::format("<text class=\"tick\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                           f.width - kRight + 10, f.height - kBottom + 18,
                           html_escaped(spec.x_label));
}

// M and L of one stretch; a point alone becomes a dot of the line's width.
std::string path_of(const std::vector<ChartPoint>& points, const Frame& f) {
  std::string path;
  for (const ChartPoint& p : points)
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : " L", f.px(p.x), f.py(p.y));
  return points.size() == 1 ? path + " h0" : path;
}

std::string line(const ChartSeries& s, const Frame& f) {
  std::string path, dots;
  const double columns = f.width - kLeft - kRight;
  for (const auto& stretch : stretches(s.points, f)) {
    const auto points = thinned(stretch, f, s.faint ? columns : columns / 2);
    path += (path.empty() ? "" : " ") + path_of(points, f);
    if (!s.dots) continue;
    for (const ChartPoint& p : points)
      dots += fmt::format("<circle class=\"dot {}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>",
                          chart_class(s.color), f.px(p.x), f.py(p.y));
  }
  if (path.empty()) return "";
  return fmt::format("<path class=\"{} {}\" d=\"{}\"/>{}\n", s.faint ? "raw" : "line",
                     chart_class(s.color), path, dots);
}

std::string band(const ChartSeries& s, const Frame& f) {
  std::vector<ChartPoint> low, high;
  for (const ChartSpan& b : s.band) {
    const bool there = f.can_place({b.x, b.low}) && f.can_place({b.x, b.high});
    const double gap = std::numeric_limits<double>::quiet_NaN();
    low.push_back({b.x, there ? b.low : gap});
    high.push_back({b.x, there ? b.high : gap});
  }
  const auto lows = stretches(low, f), highs = stretches(high, f);
  const double columns = (f.width - kLeft - kRight) / 2;
  std::string path;
  for (size_t i = 0; i < lows.size(); ++i) {
    auto around = thinned(highs[i], f, columns);
    const auto below = thinned(lows[i], f, columns);
    around.insert(around.end(), below.rbegin(), below.rend());
    path += path_of(around, f) + " Z ";
  }
  if (path.empty()) return "";
  return fmt::format("<path class=\"band {}\" d=\"{}\"/>\n", chart_class(s.color), path);
}

// Pushes labels apart, first downwards, then up from the lower end; false when they do not fit.
bool spread(std::vector<double>& at, double top, double bottom) {
  constexpr double kApart = 14;
  if (static_cast<double>(at.size()) * kApart > bottom - top + kApart) return false;
  for (size_t i = 1; i < at.size(); ++i) at[i] = std::max(at[i], at[i - 1] + kApart);
  double least = bottom;
  for (size_t i = at.size(); i-- > 0; least = at[i] - kApart) at[i] = std::min(at[i], least);
  return true;
}

// The last value beside the end of each line, where there is room for all of them.
std::string end_labels(const ChartSpec& spec, const Frame& f) {
  struct Label {
    double y;
    int color;
    std::string text;
  };
  std::vector<Label> labels;
  for (const ChartSeries& s : spec.series)
    if (!s.faint && !s.points.empty() && f.can_place(s.points.back()))
      labels.push_back({f.py(s.points.back().y), s.color, axis_number(s.points.back().y)});
  std::ranges::sort(labels, {}, &Label::y);
  std::vector<double> at;
  for (const Label& l : labels) at.push_back(l.y);
  if (!spread(at, f.top, f.height - kBottom)) return "";
  std::string svg;
  for (size_t i = 0; i < labels.size(); ++i)
    svg +=
        fmt::format("<text class=\"end {}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
                    chart_class(labels[i].color), f.width - kRight + 8, at[i] + 4, labels[i].text);
  return svg;
}

constexpr double kStroke = 24, kBehindStroke = 7, kBetween = 20;

std::string shortened(const std::string& text) {
  constexpr size_t kMost = 64;
  return text.size() <= kMost ? text : replace_invalid_utf8(text.substr(0, kMost)) + "…";
}

Legend legend_of(const ChartSpec& spec) {
  Legend legend;
  double all = 0;
  const auto width_of = [](const Legend::Item& item) {
    return kStroke + kBehindStroke + text_width(item.text) + kBetween;
  };
  for (size_t i = 0; i < spec.series.size(); ++i)
    if (!spec.series[i].name.empty()) {
      legend.items.push_back({shortened(spec.series[i].name), 0, 18, i});
      all += width_of(legend.items.back());
    }
  const double end = spec.width - 12, title_end = 12 + 1.2 * text_width(spec.title) + kBetween;
  const bool beside = title_end + all - kBetween <= end;
  double x = beside ? end - all + kBetween : 12, y = beside ? 18 : 42;
  for (Legend::Item& item : legend.items) {
    if (!beside && x > 12 && x + width_of(item) - kBetween > end) {
      x = 12;
      y += 18;
    }
    item.x = x;
    item.y = y;
    x += width_of(item);
  }
  legend.extra_height = beside ? 0 : y - 20;
  return legend;
}

std::string heading(const ChartSpec& spec, const Legend& legend) {
  std::string svg =
      fmt::format("<text class=\"title\" x=\"12\" y=\"22\">{}</text>\n", html_escaped(spec.title));
  for (const Legend::Item& item : legend.items) {
    const ChartSeries& s = spec.series[item.series];
    svg += fmt::format(
        "<path class=\"{} {}\" d=\"M{:.1f} {:.1f} h{}\"/><text class=\"legend\" x=\"{:.1f}\" "
        "y=\"{:.1f}\">{}</text>\n",
        s.faint ? "raw" : "line", chart_class(s.color), item.x, item.y, kStroke,
        item.x + kStroke + kBehindStroke, item.y + 4, html_escaped(item.text));
  }
  return svg;
}

}  // namespace

std::string draw_chart(const ChartSpec& spec, ChartUse use) {
  const Legend legend = legend_of(spec);
  const Frame f = frame_of(spec, legend.extra_height);
  std::string svg = fmt::format(
      "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {:.0f}\" "
      "role=\"img\" aria-label=\"{}\">\n",
      spec.width, f.height, html_escaped(spec.title));
  if (use == ChartUse::kFile)
    svg += fmt::format(
        "<style>{}</style><rect class=\"back\" width=\"100%\" height=\"100%\" rx=\"8\"/>\n",
        chart_style());
  svg += heading(spec, legend) + grid(spec, f);
  for (const ChartSeries& s : spec.series) svg += band(s, f);
  for (const bool faint : {true, false})
    for (const ChartSeries& s : spec.series)
      if (s.faint == faint) svg += line(s, f);
  return svg + end_labels(spec, f) + "</svg>\n";
}

std::vector<ChartPoint> smoothed(const std::vector<ChartPoint>& points, double keep) {
  std::vector<ChartPoint> out;
  RunningMean mean(keep);
  for (const ChartPoint& p : points) {
    mean.add(p.y);
    out.push_back({p.x, is_finite(p) ? mean.value() : std::numeric_limits<double>::quiet_NaN()});
  }
  return out;
}

}  // namespace lathe
