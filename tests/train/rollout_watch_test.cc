// Each flag of reinforcement: raised at its bound, quiet below it and while there is too little to see.

#include "lathe/train/rollout_watch.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lathe::testing {
namespace {

using Numbers = std::map<std::string, double>;

// What nothing is wrong with.
Numbers healthy(int64_t step) {
  return {{"reward", 0.3 + 0.001 * static_cast<double>(step)},
          {"completions/mean_length", 20.0 + static_cast<double>(step % 3)},
          {"completions/clipped_ratio", 0.1},
          {"frac_reward_zero_std", 0.3},
          {"kl_per_token", 0.02},
          {"entropy", 1.5},
          {"sampling/retokenized_ratio", 0},
          {"sampling/logp_difference_max", 1e-6}};
}

// The names of the flags after `steps` steps of healthy() as `change` makes them.
std::vector<RolloutFlag> flags_of(int64_t steps,
                                  const std::function<void(int64_t, Numbers&)>& change,
                                  const char* precision = "fp32") {
  RolloutWatch watch(precision);
  for (int64_t step = 0; step < steps; ++step) {
    Numbers numbers = healthy(step);
    change(step, numbers);
    watch.add([&](const std::string& name) -> std::optional<double> {
      const auto found = numbers.find(name);
      return found == numbers.end() ? std::nullopt : std::optional(found->second);
    });
  }
  return watch.flags();
}
std::string names_of(const std::vector<RolloutFlag>& flags) {
  std::string names;
  for (const RolloutFlag& flag : flags) {
    names += (names.empty() ? "" : " ") + flag.name;
    EXPECT_FALSE(flag.advice.empty());
  }
  return names;
}
// Of a number that is `value` from step `from` on.
std::string flags_with(const char* name, double value, int64_t steps = 60, int64_t from = 0,
                       const char* precision = "fp32") {
  return names_of(flags_of(
      steps,
      [&](int64_t step, Numbers& n) {
        if (step >= from) n[name] = value;
      },
      precision));
}

TEST(RolloutWatch, IsQuietWhereNothingIsWrong) {
  EXPECT_EQ(names_of(flags_of(500, [](int64_t, Numbers&) {})), "");
  EXPECT_EQ(names_of(flags_of(0, [](int64_t, Numbers&) {})), "");
  EXPECT_EQ(names_of(flags_of(60, [](int64_t, Numbers& n) { n = {{"loss", 1.0}}; })), "");
}

TEST(RolloutWatch, LengthHackingIsLengthThatRisesWithTheReward) {
  const auto growing = [](double length, double reward) {
    return names_of(flags_of(100, [=](int64_t step, Numbers& n) {
      n["completions/mean_length"] = 20 + length * static_cast<double>(step);
      n["reward"] = reward * static_cast<double>(step);
    }));
  };
  EXPECT_EQ(growing(1, 0.01), "length_hacking");
  EXPECT_EQ(growing(0.1, 0.01), "");  // 20 tokens to 29
  EXPECT_EQ(growing(1, -0.01), "");   // longer, and worse
  EXPECT_EQ(growing(1, 0), "");
  const auto flags = flags_of(100, [](int64_t step, Numbers& n) {
    n["completions/mean_length"] = static_cast<double>(step + 1);
    n["reward"] = static_cast<double>(step);
  });
  ASSERT_EQ(flags.size(), 1U);
  EXPECT_EQ(
      flags[0].finding,
      "answers grew from 10.5 to 90.5 tokens while the reward rose from 9.500 to 89.500 (correlation over "
      "the steps 1.00)");
}

TEST(RolloutWatch, OthersHaveABound) {
  struct Bound {
    const char *name, *flag;
    double quiet, raised;
  };
  for (const Bound& b : {Bound{"completions/clipped_ratio", "clipped_answers", 0.49, 0.51},
                         Bound{"frac_reward_zero_std", "collapsed_groups", 0.79, 0.81},
                         Bound{"kl_per_token", "kl_drift", 0.49, 0.51},
                         Bound{"sampling/retokenized_ratio", "retokenisation", 0.009, 0.011},
                         Bound{"sampling/logp_difference_max", "old_new_difference", 9e-4, 2e-3}}) {
    EXPECT_EQ(flags_with(b.name, b.quiet), "") << b.name;
    EXPECT_EQ(flags_with(b.name, b.raised), b.flag);
    EXPECT_EQ(flags_with(b.name, b.raised, RolloutWatch::kWindow - 1), "") << "too few steps";
    EXPECT_EQ(flags_with(b.name, b.raised, RolloutWatch::kWindow), b.flag);
    EXPECT_EQ(flags_with(b.name, NAN), "") << b.name;
  }
  // Rounding moves log-probabilities in 16 bits.
  EXPECT_EQ(flags_with("sampling/logp_difference_max", 0.4, 60, 0, "bf16"), "");
  EXPECT_EQ(flags_with("sampling/logp_difference_max", 0.6, 60, 0, "bf16"), "old_new_difference");
}

TEST(RolloutWatch, EntropyIsComparedWithItsBeginning) {
  EXPECT_EQ(flags_with("entropy", 0.14, 60, 30), "entropy_collapse");
  EXPECT_EQ(flags_with("entropy", 0.16, 60, 30), "");
  EXPECT_EQ(flags_with("entropy", 0.14, 60, 0), "");  // it was never higher
  EXPECT_EQ(flags_with("entropy", 0.14, 2 * RolloutWatch::kWindow - 1, 19), "");
  // What is over is forgotten.
  const auto recovered = flags_of(120, [](int64_t step, Numbers& n) {
    if (step > 40 && step < 100) n["entropy"] = 0.01;
  });
  EXPECT_EQ(names_of(recovered), "");
}

}  // namespace
}  // namespace lathe::testing
