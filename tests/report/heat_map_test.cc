#include "lathe/report/heat_map.h"

#include <gtest/gtest.h>

#include <cmath>
#include <regex>

namespace lathe {
namespace {

struct Drawn {
  double x, y, opacity;
  std::string text;
};

std::vector<Drawn> drawn(const HeatMapSpec& spec) {
  const std::string svg = draw_heat_map(spec);
  const std::regex cell(
      R"re(<rect class="grid" x="([0-9.]+)" y="([0-9.]+)"[^>]*fill-opacity="([0-9.]+)"/><text class="value"[^>]*>([^<]*)<)re");
  std::vector<Drawn> all;
  for (std::sregex_iterator at(svg.begin(), svg.end(), cell), end; at != end; ++at)
    all.push_back({std::stod((*at)[1]), std::stod((*at)[2]), std::stod((*at)[3]), (*at)[4]});
  return all;
}

TEST(HeatMap, ACellStandsInItsColumnAndRowWithItsValue) {
  const auto cells = drawn({.title = "t",
                            .x_label = "x",
                            .y_label = "y",
                            .cells = {{500, 0, 1}, {50, 100, 0.25}, {500, 100, 0}}});
  ASSERT_EQ(cells.size(), 3U);
  EXPECT_EQ(cells[0].x, cells[2].x);
  EXPECT_LT(cells[1].x, cells[0].x);  // 50 before 500
  EXPECT_EQ(cells[1].y, cells[2].y);
  EXPECT_LT(cells[0].y, cells[1].y);  // 0 above 100
  EXPECT_EQ(cells[0].text, "1");
  EXPECT_EQ(cells[1].text, "0.25");
  EXPECT_EQ(cells[2].text, "0");
  EXPECT_DOUBLE_EQ(cells[1].opacity, 0.25 * cells[0].opacity);
  EXPECT_EQ(cells[2].opacity, 0);
}

TEST(HeatMap, ColoursEndAtTheEndsAndTextIsEscaped) {
  const HeatMapSpec spec{.title = "a<b",
                         .x_label = "x&",
                         .y_label = "y",
                         .cells = {{1, 1, 9, "n\"1"}, {2, 1, -3}, {3, 1, 2}, {4, 1, std::nan("")}},
                         .low = 0,
                         .high = 4};
  const auto cells = drawn(spec);
  ASSERT_EQ(cells.size(), 4U);
  EXPECT_DOUBLE_EQ(cells[0].opacity, 2 * cells[2].opacity);
  EXPECT_EQ(cells[1].opacity, 0);
  EXPECT_EQ(cells[3].opacity, 0);
  const std::string svg = draw_heat_map(spec);
  for (const char* part : {"a&lt;b", "x&amp;", "<title>n&quot;1</title>"})
    EXPECT_NE(svg.find(part), std::string::npos) << part;
}

}  // namespace
}  // namespace lathe
