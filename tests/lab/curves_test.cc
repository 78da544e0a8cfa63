#include "lathe/lab/curves.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

TEST(Curves, FindTheFirstCrossing) {
  const std::vector<ChartPoint> points = {{0, 4}, {10, 2}, {20, 3}, {30, 1}};
  EXPECT_EQ(first_at_or_below(points, 3), 5);
  EXPECT_EQ(first_at_or_below(points, 2), 10);
  EXPECT_EQ(first_at_or_below(points, 1.5), 27.5);
  EXPECT_EQ(first_at_or_below(points, 5), 0);
  EXPECT_FALSE(first_at_or_below(points, 0.5).has_value());
  EXPECT_FALSE(first_at_or_below({{0, NAN}}, 1).has_value());
}

}  // namespace
}  // namespace lathe
