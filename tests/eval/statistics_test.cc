// Estimates against the formulas written out, and intervals against planted truths.
#include "lathe/eval/measure/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "lathe/base/rng.h"

namespace lathe {
namespace {

TEST(Statistics, AMeanHasTheSampleDeviationOverTheRootOfN) {
  const std::vector<double> x = {1, 4, 2, 9};
  const Estimate e = ratio_estimate(x);
  EXPECT_DOUBLE_EQ(e.value, 4);
  EXPECT_DOUBLE_EQ(e.error.value(), std::sqrt((9 + 0 + 4 + 25) / 3.0 / 4));
  const double t = 3.182446305284263;  // of 3 degrees of freedom
  EXPECT_NEAR(e.ci95->second, 4 + t * *e.error, 1e-9);
  EXPECT_FALSE(ratio_estimate(std::vector<double>{3}).error);
}

TEST(Statistics, ClustersAreWhatIsIndependent) {
  const std::vector<double> x = {1, 1, 0, 0, 1, 1};
  const std::vector<size_t> clusters = {0, 0, 1, 1, 2, 2};
  const Estimate e = ratio_estimate(x, {}, clusters);
  // The same as three items, each the mean of two.
  const Estimate of_means = ratio_estimate(std::vector<double>{1, 0, 1});
  EXPECT_DOUBLE_EQ(*e.error, *of_means.error);
  EXPECT_FALSE(ratio_estimate(x, {}, std::vector<size_t>(6, 4)).error);
}

TEST(Statistics, ARatioIsOfTheSums) {
  const std::vector<double> x = {2, 6, 3}, w = {1, 2, 1};
  const Estimate e = ratio_estimate(x, w);
  EXPECT_DOUBLE_EQ(e.value, 11.0 / 4);
  const double a = 2 - 2.75, b = 6 - 5.5, c = 3 - 2.75;
  EXPECT_DOUBLE_EQ(*e.error, std::sqrt(3.0 / 2 * (a * a + b * b + c * c)) / 4);
  EXPECT_DOUBLE_EQ(*exponential(e).error, std::exp(2.75) * *e.error);
  EXPECT_DOUBLE_EQ(in_bits(e).value, 2.75 / std::log(2));
}

TEST(Statistics, NoneAndAllOfAFewSayLittle) {
  const Estimate none = share_estimate(std::vector<double>(10, 0.0));
  EXPECT_EQ(none.value, 0);
  EXPECT_EQ(none.ci95->first, 0);
  EXPECT_NEAR(none.ci95->second, 0.2775, 1e-4);  // Wilson's
}

// The truth is inside 95 of 100 times; where items share a text, only with clusters.
TEST(Statistics, IntervalsHoldThePlantedTruth) {
  constexpr int kRuns = 2000, kItems = 120, kTogether = 6;
  int plain = 0, clustered = 0, ignored = 0;
  std::vector<size_t> clusters(kItems);
  for (size_t i = 0; i < kItems; ++i) clusters[i] = i / kTogether;
  for (uint64_t run = 0; run < kRuns; ++run) {
    const Rng draw = Rng(3).fork(run);
    std::vector<double> x(kItems), y(kItems);
    for (size_t i = 0; i < kItems; ++i) {
      x[i] = draw.uniform(i) < 0.35f;
      // Half of the clusters' share of luck is common to their items.
      const double luck = draw.fork("cluster").uniform(clusters[i]) < 0.5f ? 0.65 : 0.05;
      y[i] = draw.fork("item").uniform(i) < luck;
    }
    const auto holds = [](const Estimate& e) {
      return e.ci95->first <= 0.35 && 0.35 <= e.ci95->second;
    };
    plain += holds(share_estimate(x));
    clustered += holds(ratio_estimate(y, {}, clusters));
    ignored += holds(ratio_estimate(y));
  }
  EXPECT_NEAR(plain / double{kRuns}, 0.95, 0.02);
  EXPECT_NEAR(clustered / double{kRuns}, 0.95, 0.03);
  EXPECT_LT(ignored / double{kRuns}, 0.85);
}

TEST(Statistics, McNemarIsExact) {
  EXPECT_EQ(mcnemar_p(0, 0), 1);
  EXPECT_DOUBLE_EQ(mcnemar_p(0, 5), 2.0 / 32);
  EXPECT_NEAR(mcnemar_p(12, 3), 0.03515625, 1e-12);
  EXPECT_EQ(mcnemar_p(4, 4), 1);
}

TEST(Statistics, ThePairedTest) {
  const std::vector<double> d = {0.1, 0.3, -0.1, 0.2, 0.25};
  EXPECT_NEAR(paired_t_p(ratio_estimate(d), 5), 0.1011, 1e-3);
  EXPECT_EQ(paired_t_p(ratio_estimate(std::vector<double>(4, 0.0)), 4), 1);
}

TEST(Statistics, HolmAdjustsForAll) {
  const std::vector<double> adjusted = holm(std::vector<double>{0.04, 0.01, 0.03});
  EXPECT_DOUBLE_EQ(adjusted[1], 0.03);
  EXPECT_DOUBLE_EQ(adjusted[2], 0.06);
  EXPECT_DOUBLE_EQ(adjusted[0], 0.06);
}

TEST(Statistics, PassAtKIsTheShareOfDraws) {
  // All subsets of k of 6 samples, 2 of which are right.
  for (int64_t k = 1; k <= 6; ++k) {
    int right = 0, all = 0;
    for (unsigned subset = 0; subset < 64; ++subset) {
      if (__builtin_popcount(subset) != k) continue;
      ++all;
      right += (subset & 3u) != 0;
    }
    EXPECT_NEAR(pass_at_k(6, 2, k), right / double(all), 1e-12);
  }
  EXPECT_EQ(pass_at_k(5, 0, 5), 0);
}

TEST(Statistics, ItemsForOnePoint) {
  EXPECT_NEAR(items_for_one_point(0.25), std::pow(1.959964 + 0.841621, 2) * 0.25 / 1e-4, 1);
}

}  // namespace
}  // namespace lathe
