// The ratio of what differs between runs to what differs within them.
#include "lathe/lab/task_signal.h"

#include <gtest/gtest.h>

#include <cmath>

#include "io/temp_folder.h"

namespace lathe {
namespace {

class TaskSignals : public ::testing::Test {
 protected:
  // A run that measured `steady` and `noisy` at every step.
  std::filesystem::path run(const char* name, std::vector<double> steady,
                            std::vector<double> noisy) const {
    std::string lines;
    for (size_t i = 0; i < steady.size(); ++i)
      lines += fmt::format(
          "{{\"step\": {0}, \"loss\": 1.0}}\n{{\"step\": {0}, \"eval.steady.acc\": {1}, "
          "\"eval.steady.acc_stderr\": 0.1, \"eval.noisy.bits_per_byte\": {2}}}\n",
          i + 1, steady[i], noisy[i]);
    return folder_.write(std::string(name) + "/metrics.jsonl", lines).parent_path();
  }
  TempFolder folder_;
};

TEST_F(TaskSignals, AreOrderedByTheirRatio) {
  // Of the last two points the means are 0.5 and 1.0; the deviation of each run is 0.02 · √2.
  const std::vector<std::filesystem::path> runs = {run("a", {9, 0.49, 0.51}, {9, 1.0, 3.0}),
                                                   run("b", {9, 0.98, 1.02}, {9, 3.0, 1.0})};
  const auto signals = task_signals(runs, 2);
  ASSERT_EQ(signals.size(), 2u);
  EXPECT_EQ(signals[0].name, "steady.acc");
  EXPECT_EQ(signals[0].runs, 2);
  EXPECT_EQ(signals[0].points, 2);
  EXPECT_NEAR(signals[0].mean, 0.75, 1e-12);
  EXPECT_NEAR(signals[0].signal, 0.5 / 0.75, 1e-12);
  EXPECT_NEAR(signals[0].noise, 0.02 * std::sqrt(2), 1e-9);
  EXPECT_EQ(signals[1].name, "noisy.bits_per_byte");
  EXPECT_NEAR(signals[1].signal, 0, 1e-12);
  EXPECT_NEAR(signals[1].noise, std::sqrt(2) / 2, 1e-9);
}

TEST_F(TaskSignals, NeedTwoRunsThatMeasuredTheSame) {
  EXPECT_NE(error_text([&] {
              task_signals({run("a", {1, 2}, {1, 2})}, 5);
            }).find("one run was given"),
            std::string::npos);
  EXPECT_NE(error_text([&] {
              task_signals({run("a", {1}, {1}), run("b", {1}, {1})}, 5);
            }).find("no two of these runs measured one task twice or more"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
