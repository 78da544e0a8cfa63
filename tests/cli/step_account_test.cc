#include "lathe/cli/commands/bench/step_account.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "lathe/cli/commands/bench/bench.h"
#include "train/run.h"

namespace lathe {
namespace {

class StepAccounts : public testing::Run {
 protected:
  StepAccount account(int64_t steps) {
    TrainLoop loop(recipe());
    int64_t step = 0;
    return account_steps(steps, [&] { loop.step(++step); });
  }
};

TEST_F(StepAccounts, RowsAddUpToTheStep) {
  const StepAccount a = account(3);
  ASSERT_FALSE(a.rows.empty());
  double sum = a.outside_seconds;
  for (const StepRow& r : a.rows) {
    EXPECT_GT(r.calls, 0) << r.kernel;
    EXPECT_GT(r.limit_seconds, 0) << r.kernel << " " << r.shape;
    sum += r.seconds;
  }
  EXPECT_NEAR(sum, a.seconds, 1e-9);
  EXPECT_GE(a.outside_seconds, 0);
  EXPECT_TRUE(std::ranges::is_sorted(a.rows, std::ranges::greater(), &StepRow::seconds));
}

// Two layers with four products each, and the head: forward, dx and dw of every one.
TEST_F(StepAccounts, CallsAreThoseOfOneStep) {
  double products = 0, attentions = 0;
  for (const StepRow& r : account(2).rows) {
    if (r.kernel == "matmul") products += r.calls;
    if (r.kernel == "attention") attentions += r.calls;
  }
  EXPECT_EQ(products, 3 * (2 * 4 + 1));
  EXPECT_EQ(attentions, 2);
}

TEST_F(StepAccounts, TheTableNamesWhatItLeavesOut) {
  const StepAccount a = account(1);
  const std::string text = step_table(a, 2);
  EXPECT_NE(text.find(fmt::format("{} shorter rows", a.rows.size() - 2)), std::string::npos)
      << text;
  EXPECT_NE(text.find("outside kernels"), std::string::npos) << text;
  EXPECT_EQ(step_table(a, 1000).find("shorter rows"), std::string::npos);
}

TEST_F(StepAccounts, JsonIsOneLineWithEveryRow) {
  const StepAccount a = account(1);
  std::ostringstream out;
  CommandContext context{.name = "bench step",
                         .arguments = {},
                         .overrides = {},
                         .json = true,
                         .out = out,
                         .log = {},
                         .progress = {}};
  print_measured(context, step_facts(a), step_table(a, 3));
  const std::string text = out.str();
  EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
  const auto facts = nlohmann::json::parse(text);
  double ms = facts["outside_ms"];
  for (const auto& row : facts["rows"]) ms += row["ms"].get<double>();
  EXPECT_NEAR(ms, a.seconds * 1e3, 1e-6);
  EXPECT_EQ(facts["rows"].size(), a.rows.size());
  EXPECT_TRUE(facts.contains("level"));
}

TEST(StepBench, ExplainsItself) {
  const auto help = run_lathe({"help", "bench", "step"});
  EXPECT_EQ(help.code, 0) << help.err;
  EXPECT_NE(help.out.find("--explain"), std::string::npos);
}

}  // namespace
}  // namespace lathe
