#include "lathe/optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lathe/base/error.h"

namespace lathe {
namespace {

constexpr double kPeak = 0.001;
constexpr double kClose = 1e-15;

double at(const ScheduleConfig& config, int64_t step, int64_t steps = 110) {
  return learning_rate(config, kPeak, step, steps);
}

ScheduleConfig named(const std::string& name) {
  ScheduleConfig c;
  c.name = name;
  c.warmup_steps = 10;
  c.min_lr_ratio = 0.1;
  return c;
}

TEST(Schedule, WarmUpIsTheSameForAll) {
  for (const ScheduleInfo& s : kSchedules) {
    const ScheduleConfig c = named(std::string(s.name));
    EXPECT_NEAR(at(c, 1), 0.0001, kClose) << s.name;
    EXPECT_NEAR(at(c, 5), 0.0005, kClose) << s.name;
    EXPECT_NEAR(at(c, 10), 0.001, kClose) << s.name;
  }
}

TEST(Schedule, Cosine) {
  const ScheduleConfig c = named("cosine");
  EXPECT_NEAR(at(c, 35), 0.00086819805153394641, kClose);  // a quarter: 0.1 + 0.9 · (1 + √½) / 2
  EXPECT_NEAR(at(c, 60), 0.00055, kClose);
  EXPECT_NEAR(at(c, 110), 0.0001, kClose);
  EXPECT_NEAR(at(c, 500), 0.0001, kClose) << "after the end";
}

TEST(Schedule, Linear) {
  const ScheduleConfig c = named("linear");
  EXPECT_NEAR(at(c, 11), 0.000991, kClose);
  EXPECT_NEAR(at(c, 60), 0.00055, kClose);
  EXPECT_NEAR(at(c, 110), 0.0001, kClose);
}

TEST(Schedule, WarmUpStableDecay) {
  ScheduleConfig c = named("wsd");
  c.decay_fraction = 0.25;  // of 200 steps: from 150 on
  EXPECT_NEAR(at(c, 11, 200), 0.001, kClose);
  EXPECT_NEAR(at(c, 150, 200), 0.001, kClose);
  EXPECT_NEAR(at(c, 151, 200), 0.000982, kClose);
  EXPECT_NEAR(at(c, 175, 200), 0.00055, kClose);
  EXPECT_NEAR(at(c, 200, 200), 0.0001, kClose);
  c.decay_shape = "1-sqrt";
  EXPECT_NEAR(at(c, 150, 200), 0.001, kClose);
  EXPECT_NEAR(at(c, 152, 200), 0.00082, kClose);  // √(2/50) = 0.2
  EXPECT_NEAR(at(c, 200, 200), 0.0001, kClose);
}

TEST(Schedule, WarmUpStableDecayAtItsEdges) {
  ScheduleConfig c = named("wsd");
  c.decay_fraction = 0;
  EXPECT_NEAR(at(c, 110), 0.001, kClose);
  c.decay_fraction = 1;  // begins after the warm-up
  EXPECT_NEAR(at(c, 10), 0.001, kClose);
  EXPECT_NEAR(at(c, 60), 0.00055, kClose);
}

TEST(Schedule, InverseSquareRoot) {
  const ScheduleConfig c = named("inverse_sqrt");
  EXPECT_NEAR(at(c, 40), 0.0005, kClose);
  EXPECT_NEAR(at(c, 1000, 4000), 0.0001, kClose);
  EXPECT_NEAR(at(c, 4000, 4000), 0.00005, kClose) << "min_lr_ratio does not apply";
}

TEST(Schedule, Constant) { EXPECT_EQ(at(named("constant"), 77), kPeak); }

TEST(Schedule, WithoutWarmUp) {
  for (const ScheduleInfo& s : kSchedules) {
    ScheduleConfig c = named(std::string(s.name));
    c.warmup_steps = 0;
    EXPECT_GT(at(c, 1), 0.00099) << s.name;
    EXPECT_LE(at(c, 1), kPeak) << s.name;
  }
  ScheduleConfig linear = named("linear");
  linear.warmup_steps = 0;
  EXPECT_NEAR(at(linear, 55), 0.00055, kClose);
}

TEST(Schedule, WarmUpLongerThanTheRun) {
  for (const ScheduleInfo& s : kSchedules) {
    ScheduleConfig c = named(std::string(s.name));
    c.warmup_steps = 110;
    EXPECT_NEAR(at(c, 110), 0.001, kClose) << s.name;
    c.warmup_steps = 1100;
    EXPECT_NEAR(at(c, 110), 0.0001, kClose) << s.name;
    EXPECT_NEAR(at(c, 200), 0.0001, kClose) << s.name;
  }
}

TEST(Schedule, NeverLeavesItsRange) {
  for (const ScheduleInfo& s : kSchedules)
    for (int64_t warmup : {0, 1, 7, 40})
      for (int64_t steps : {1, 2, 7, 40}) {
        ScheduleConfig c = named(std::string(s.name));
        c.warmup_steps = warmup;
        double previous = INFINITY;
        for (int64_t step = 1; step <= steps; ++step) {
          const double lr = at(c, step, steps);
          ASSERT_TRUE(lr > 0 && lr <= kPeak * (1 + 1e-12)) << s.name << " " << step << "/" << steps;
          if (step > warmup) {
            ASSERT_LE(lr, previous) << s.name;
            previous = lr;
          }
        }
      }
}

TEST(Schedule, UnknownNameNamesTheNearest) {
  try {
    at(named("cosin"), 1);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kConfig);
    EXPECT_NE(std::string(e.what()).find("'cosine'"), std::string::npos) << e.what();
  }
  EXPECT_THROW(at(named("cosine"), 0), Error);
  EXPECT_THROW(at(named("cosine"), 1, 0), Error);
}

}  // namespace
}  // namespace lathe
