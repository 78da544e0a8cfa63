#include "lathe/base/rng.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

TEST(Rng, SameNameSameNumbers) {
  EXPECT_EQ(Rng(7).fork("dropout").fork(3).bits64(11), Rng(7).fork("dropout").fork(3).bits64(11));
  EXPECT_NE(Rng(7).fork("dropout").fork(3).bits64(11), Rng(7).fork("dropout").fork(4).bits64(11));
  EXPECT_NE(Rng(7).fork("dropout").bits64(0), Rng(7).fork("shuffle").bits64(0));
  EXPECT_NE(Rng(7).bits64(0), Rng(8).bits64(0));
}

TEST(Rng, NormalHasZeroMeanAndUnitVariance) {
  const Rng rng = Rng(1).fork("normal");
  double sum = 0, squares = 0;
  constexpr int kCount = 200000;
  for (int i = 0; i < kCount; ++i) {
    const double x = rng.normal(i);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kCount, 0.0, 0.01);
  EXPECT_NEAR(squares / kCount, 1.0, 0.02);
}

TEST(Rng, BelowIsInRangeAndEven) {
  const Rng rng = Rng(2).fork("below");
  int counts[7] = {};
  for (int i = 0; i < 70000; ++i) ++counts[rng.below(i, 7)];
  for (int c : counts) EXPECT_NEAR(c, 10000, 400);
}

}  // namespace
}  // namespace lathe
