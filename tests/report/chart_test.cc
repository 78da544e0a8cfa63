#include "lathe/report/chart.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "lathe/report/band.h"
#include "lathe/report/chart_style.h"

namespace lathe {
namespace {

size_t count_of(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

// What is drawn for `class_name`, up to the end of the path's coordinates.
std::string path_with(const std::string& svg, const std::string& class_name) {
  const size_t at = svg.find("<path class=\"" + class_name + "\" d=\"M");
  return at == std::string::npos ? "" : svg.substr(at, svg.find("/>", at) - at);
}

std::string draw(std::vector<ChartPoint> points, ChartSpec spec = {}) {
  spec.series.push_back({.name = "", .points = std::move(points)});
  return draw_chart(spec, ChartUse::kPage);
}

TEST(ChartAxis, TicksAreRoundAndInside) {
  EXPECT_EQ(axis_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(axis_ticks(4.1, 5.2, 5), axis_ticks(4.1, 5.2, 5));
  for (const double t : axis_ticks(-0.37, 0.91, 4)) {
    EXPECT_GE(t, -0.37);
    EXPECT_LE(t, 0.91);
  }
  EXPECT_TRUE(axis_ticks(1, 1, 5).empty());
  EXPECT_GE(axis_ticks(1.9, 12, 5).size(), 4u) << "the step is the nearest round one";
}

TEST(ChartAxis, LogarithmicTicksArePowersOfTen) {
  EXPECT_EQ(log_axis_ticks(0.5, 2000, 3), (std::vector<double>{1, 100}));
  EXPECT_EQ(log_axis_ticks(1, 5000, 5), (std::vector<double>{1, 10, 100, 1000}));
  const auto few = log_axis_ticks(2, 90, 5);
  ASSERT_EQ(few.size(), 5u);
  EXPECT_DOUBLE_EQ(few[0], 2);
  EXPECT_DOUBLE_EQ(few[4], 50);
  const auto decade = log_axis_ticks(1.9, 12, 5);
  ASSERT_EQ(decade.size(), 5u);
  EXPECT_DOUBLE_EQ(decade[1], 3);
  EXPECT_EQ(log_axis_ticks(4, 6, 4), axis_ticks(4, 6, 4));
  EXPECT_TRUE(log_axis_ticks(0, 6, 4).empty());
}

TEST(Chart, SmoothingIsUnbiasedAtTheStart) {
  const auto s = smoothed({{1, 5}, {2, 5}, {3, 5}}, 0.9);
  for (const ChartPoint& p : s) EXPECT_NEAR(p.y, 5, 1e-12);
  EXPECT_NEAR(smoothed({{1, 0}, {2, 1}}, 0.5)[1].y, 2.0 / 3, 1e-12);
}

TEST(Chart, SmoothingKeepsGapsAndForgetsNothing) {
  const auto s = smoothed({{1, 4}, {2, NAN}, {3, 4}}, 0.9);
  ASSERT_EQ(s.size(), 3u);
  EXPECT_TRUE(std::isnan(s[1].y));
  EXPECT_NEAR(s[2].y, 4, 1e-12);
}

TEST(Chart, SurvivesEmptyConstantAndNotFiniteSeries) {
  for (const std::vector<ChartPoint>& points : {std::vector<ChartPoint>{},
                                                {{1, 2}},
                                                {{1, 3}, {2, 3}},
                                                {{1, NAN}, {2, INFINITY}, {3, 1}},
                                                {{NAN, 1}, {2, 1}}}) {
    const std::string svg = draw_chart(
        {.title = "a < b", .series = {{.name = "x", .points = points}}}, ChartUse::kFile);
    EXPECT_EQ(svg.find("nan"), std::string::npos) << svg;
    EXPECT_EQ(svg.find("inf"), std::string::npos) << svg;
    EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  }
}

TEST(Chart, NoLinePassesThroughAGap) {
  const std::string whole = path_with(draw({{1, 2}, {2, 3}, {3, 4}, {4, 5}}), "line c1");
  EXPECT_EQ(count_of(whole, "M"), 1u) << whole;
  const std::string cut =
      path_with(draw({{1, 2}, {2, 3}, {3, NAN}, {4, 5}, {5, 4}, {6, INFINITY}, {7, 4}}), "line c1");
  EXPECT_EQ(count_of(cut, "M"), 3u) << cut;
  EXPECT_EQ(count_of(cut, "h0"), 1u) << "a point alone is a dot: " << cut;
}

TEST(Chart, AGapIsNotAZeroOnTheAxis) {
  EXPECT_EQ(draw({{1, 100}, {2, NAN}, {3, 101}}).find(">0<"), std::string::npos);
}

TEST(Chart, ALogarithmicAxisHasGapsAtAndBelowZero) {
  ChartSpec spec;
  spec.y_scale = AxisScale::kLog;
  const std::string svg = draw({{0, 10}, {1, 0}, {2, 100}, {3, 1000}, {4, -5}}, spec);
  const std::string path = path_with(svg, "line c1");
  EXPECT_EQ(count_of(path, "M"), 2u) << path;
  for (const char* tick : {">10<", ">100<", ">1000<"})
    EXPECT_NE(svg.find(tick), std::string::npos) << tick;
  // Equal ratios are equal distances: 100 lies halfway between 10 and 1000.
  ChartAxis axis(AxisScale::kLog);
  axis.include(10);
  axis.include(1000);
  EXPECT_NEAR(axis.place(100), 0.5, 1e-12);
  EXPECT_FALSE(axis.can_place(0));
}

TEST(Chart, ThinsByWhereItDrawsOnALogarithmicAxis) {
  std::vector<ChartPoint> points;
  for (int i = 1; i <= 100'000; ++i) points.push_back({double(i), 1.0 + i % 2});
  ChartSpec spec;
  spec.x_scale = AxisScale::kLog;
  const std::string path = path_with(draw(points, spec), "line c1");
  EXPECT_LT(count_of(path, "L"), 300u);
  EXPECT_NE(path.find("M56.0 "), std::string::npos) << "the first step stands alone at the left";
}

TEST(Chart, TwelveSeriesAreToldApart) {
  std::set<std::string> classes;
  for (int color = 1; color <= 24; ++color) classes.insert(chart_class(color));
  EXPECT_EQ(classes.size(), 24u);
  EXPECT_EQ(chart_class(7), "c1 d1");
  EXPECT_NE(chart_style().find(".line.d1{stroke-dasharray:"), std::string::npos);
  EXPECT_NE(chart_style().find(".line.c6"), std::string::npos);
}

TEST(Chart, ALongLegendMovesBelowTheTitle) {
  ChartSpec spec{.title = "t", .series = {}};
  for (int i = 0; i < 12; ++i)
    spec.series.push_back({.name = fmt::format("a run {}", i),
                           .color = i + 1,
                           .points = {{0, i * 1.0}, {1, i * 2.0}}});
  const std::string svg = draw_chart(spec, ChartUse::kFile);
  for (int i = 0; i < 12; ++i) EXPECT_NE(svg.find(fmt::format(">a run {}<", i)), std::string::npos);
  EXPECT_EQ(svg.find("viewBox=\"0 0 560 220\""), std::string::npos) << "rows need height";
  EXPECT_EQ(svg.find("x=\"-"), std::string::npos) << "nothing is left of the picture";
}

TEST(Band, IsMeanLeastAndGreatestWhereAllCurvesAre) {
  const CurveBand band = band_of({{{0, 1}, {10, 3}, {20, 5}}, {{5, 4}, {10, 5}, {20, 9}, {30, 9}}});
  ASSERT_EQ(band.mean.size(), 3u);  // at 5, 10, 20
  EXPECT_EQ(band.mean[0].x, 5);
  EXPECT_DOUBLE_EQ(band.mean[0].y, 3);  // of 2, between two points, and 4
  EXPECT_DOUBLE_EQ(band.range[1].low, 3);
  EXPECT_DOUBLE_EQ(band.range[1].high, 5);
  EXPECT_DOUBLE_EQ(band.mean[2].y, 7);
}

TEST(Band, HasAGapWhereOneCurveHasOne) {
  const CurveBand band = band_of({{{1, 1}, {2, NAN}, {3, 1}}, {{1, 3}, {2, 3}, {3, 3}}});
  EXPECT_DOUBLE_EQ(band.mean[0].y, 2);
  EXPECT_TRUE(std::isnan(band.mean[1].y));
  EXPECT_TRUE(std::isnan(band.range[1].low));
  EXPECT_TRUE(band_of({{{1, 1}}, {{2, 1}}}).mean.empty());
}

}  // namespace
}  // namespace lathe
