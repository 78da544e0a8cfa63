// What lathe demo makes of its time: how many steps fit, and when the machine counts as busy.

#include <gtest/gtest.h>

#include "lathe/cli/commands/demo/load.h"
#include "lathe/cli/commands/demo/plan.h"

namespace lathe {
namespace {

TEST(DemoPlan, StepsFitWithTheirValidationsAndTexts) {
  for (const double seconds : {30.0, 100.0, 400.0, 3000.0}) {
    const int64_t steps = steps_that_fit(seconds, 0.5, 1 << 20);
    EXPECT_LE(cost_in_steps(steps) * 0.5, seconds);
    EXPECT_GT(cost_in_steps(steps + steps / 10 + 5) * 0.5, seconds) << "the time is used";
  }
  // Few steps are validated as often as many: 20 of them need half as much again.
  EXPECT_GT(cost_in_steps(20), 1.4 * 20);
  EXPECT_LT(cost_in_steps(1000), 1.12 * 1000);
}

TEST(DemoPlan, NeverFewerThanTwentyNorMoreThanTheTextHolds) {
  EXPECT_EQ(steps_that_fit(0, 1, 1000), 20);
  EXPECT_EQ(steps_that_fit(1e9, 1, 1000), 1000);
  EXPECT_EQ(steps_that_fit(1e9, 1, 3), 20);
}

TEST(MachineLoad, AnIdleMachineIsNotBusy) {
  EXPECT_FALSE(
      why_busy({.best = 100e9, .worst = 90e9, .expected = 160e9, .load = 2.0, .cores = 2}));
  EXPECT_FALSE(why_busy({.best = 100e9, .worst = 90e9, .expected = 0, .load = {}, .cores = 2}))
      << "what the system does not tell says nothing";
}

TEST(MachineLoad, SaysWhyAMachineIsBusy) {
  const auto slow =
      why_busy({.best = 30e9, .worst = 18e9, .expected = 160e9, .load = 0.5, .cores = 2});
  ASSERT_TRUE(slow);
  EXPECT_NE(slow->find("18 GFLOP/s, but should reach about 160 when idle"), std::string::npos)
      << *slow;
  const auto uneven = why_busy({.best = 100e9, .worst = 50e9, .expected = 160e9, .cores = 2});
  ASSERT_TRUE(uneven);
  EXPECT_NE(uneven->find("at 100 GFLOP/s and at 50"), std::string::npos) << *uneven;
  const auto crowded =
      why_busy({.best = 100e9, .worst = 95e9, .expected = 160e9, .load = 4.5, .cores = 2});
  ASSERT_TRUE(crowded);
  EXPECT_NE(crowded->find("4.5 processes were competing for its 2 cores"), std::string::npos)
      << *crowded;
}

TEST(MachineLoad, IsMeasured) {
  const MachineLoad load = measure_load();
  EXPECT_GT(load.worst, 0);
  EXPECT_GE(load.best, load.worst);
  EXPECT_GE(load.cores, 1);
}

}  // namespace
}  // namespace lathe
