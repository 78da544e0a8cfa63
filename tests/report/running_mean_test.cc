#include "lathe/report/running_mean.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

TEST(RunningMean, IsCorrectedForItsStart) {
  RunningMean mean(0.95);
  EXPECT_TRUE(std::isnan(mean.value()));
  mean.add(8);
  EXPECT_DOUBLE_EQ(mean.value(), 8);
  mean.add(2);
  // m = 0.95·(0.05·8) + 0.05·2 = 0.48, shown 0.48 / (1 − 0.95²)
  EXPECT_NEAR(mean.value(), 0.48 / 0.0975, 1e-12);
}

TEST(RunningMean, AFallingLossIsFollowedFromTheFirstStepOn) {
  RunningMean mean(0.95);
  for (int i = 0; i < 40; ++i) mean.add(i < 5 ? 10.0 : 1.0);
  // One that began at the first loss would still be at 2.5: 1 + 9·0.95^35.
  EXPECT_LT(mean.value(), 2.0);
}

TEST(RunningMean, ValuesThatAreNotFiniteChangeNothing) {
  RunningMean mean(0.5);
  mean.add(4);
  mean.add(NAN);
  mean.add(INFINITY);
  EXPECT_DOUBLE_EQ(mean.value(), 4);
}

}  // namespace
}  // namespace lathe
