#include "lathe/train/budget.h"

#include "train/run.h"

namespace lathe::testing {
namespace {

TEST(Budgets, AreReadAsWritten) {
  const auto is = [](std::string_view text, double amount, Budget::Unit unit) {
    const Budget b = parse_budget(text);
    EXPECT_DOUBLE_EQ(b.amount, amount) << text;
    EXPECT_EQ(b.unit, unit) << text;
  };
  is("300M tokens", 300e6, Budget::Unit::kTokens);
  is("1 token", 1, Budget::Unit::kTokens);
  is("2.5 epochs", 2.5, Budget::Unit::kEpochs);
  is("0.5hours", 0.5, Budget::Unit::kHours);
  is("10k steps", 10000, Budget::Unit::kSteps);
  is("8.4K tokens", 8400, Budget::Unit::kTokens);  // as the program prints them
  is("1.5B tokens", 1.5e9, Budget::Unit::kTokens);
  for (const char* bad : {"", "tokens", "3", "3 miles", "-1 epochs", "0 hours", "1e300 tokens",
                          "nan tokens", "3 M tokens"})
    EXPECT_NE(error_text([&] { parse_budget(bad); }).find("as in \"300M tokens\""),
              std::string::npos)
        << bad;
}

TEST(Budgets, MicroBatchesGrowAlongTheRamp) {
  TrainConfig c;
  c.batch_size = 2;
  c.grad_accumulation = 4;
  for (const int64_t ramp : {0, 1, 3, 8, 100}) {
    c.batch_ramp = ramp;
    int64_t before = 0;
    for (int64_t step = 1; step <= 120; ++step) {
      EXPECT_EQ(micro_batches_before(c, step), before) << ramp << " " << step;
      const int64_t micro = micro_batches(c, step);
      EXPECT_GE(micro, step == 1 ? 1 : micro_batches(c, step - 1));
      EXPECT_LE(micro, 4);
      before += micro;
      // As few steps as give so many samples.
      EXPECT_EQ(steps_for_samples(c, static_cast<double>(before * 2)), step) << ramp;
      EXPECT_EQ(steps_for_samples(c, static_cast<double>(before * 2) - 1), step) << ramp;
      EXPECT_EQ(steps_for_samples(c, static_cast<double>(before * 2) + 1), step + 1) << ramp;
    }
    EXPECT_EQ(micro_batches(c, ramp + 1), 4);
  }
}

class Budgeted : public Run {};

TEST_F(Budgeted, ARunComesToWhatWasAsked) {
  recipe_["train"].erase("steps");
  const auto steps_of = [&](const char* budget) {
    recipe_["train"]["budget"] = budget;
    return TrainLoop(recipe()).recipe().train.steps;
  };
  const int64_t samples =
      (TokenShard(recipe_["data"]["train"].get<std::string>()).num_tokens() - 1) / 8;
  EXPECT_EQ(steps_of("7 steps"), 7);
  EXPECT_EQ(steps_of("160 tokens"), 10);  // 2 rows of 8
  EXPECT_EQ(steps_of("161 tokens"), 11);
  EXPECT_EQ(steps_of("2 epochs"), samples);
  recipe_["train"]["steps"] = 5;
  EXPECT_NE(error_text([&] { recipe(); }).find("steps and budget are both given"),
            std::string::npos);
}

TEST_F(Budgeted, OfTimeIsMeasuredOnceAndKept) {
  recipe_["train"].erase("steps");
  recipe_["train"]["budget"] = "0.000001 hours";
  recipe_["train"]["checkpoint_every"] = 0;
  train(recipe());
  const int64_t steps = metrics().back().at("step");
  EXPECT_GE(steps, 1);
  EXPECT_EQ(Json::parse(content_of(out() / "recipe.json"))["train"]["steps"], steps);
  recipe_["train"]["budget"] = "5 hours";  // the run keeps the steps that it began with
  train(recipe(), TrainLoop::Start::kResume);
  EXPECT_EQ(metrics().back().at("step"), steps);
}

TEST_F(Budgeted, ARampIsCountedInTokensAndResumes) {
  const char* patch = R"({"train": {"grad_accumulation": 3, "batch_ramp": 4}})";
  train(recipe(patch));
  std::vector<int64_t> tokens;
  for (const Json& line : metrics())
    if (line.contains("loss")) tokens.push_back(line.at("tokens"));
  EXPECT_EQ(tokens, (std::vector<int64_t>{16, 48, 96, 144, 192, 240}));
  const auto unbroken = result();
  for (int64_t s : {3, 4, 5, 6}) fs::remove_all(checkpoint(s));
  train(recipe(patch), TrainLoop::Start::kResume);
  EXPECT_EQ(result(), unbroken);
}

TEST_F(Budgeted, APeakThatIsNeverReachedIsTold) {
  train(recipe(R"({"schedule": {"warmup_steps": 7}})"));
  EXPECT_NE(log_.find("the learning rate never reaches optim.lr"), std::string::npos) << log_;
  log_.clear();
  start_over();
  train(recipe(R"({"schedule": {"warmup_steps": 6}})"));  // at the last step
  EXPECT_EQ(log_.find("never reaches"), std::string::npos) << log_;
  EXPECT_EQ(metrics()[5].at("lr"), 0.01);
  start_over();
  train(recipe(R"({"schedule": {"warmup_steps": null, "warmup_ratio": 0.5}})"));
  EXPECT_EQ(log_.find("never reaches"), std::string::npos) << log_;
  EXPECT_NEAR(metrics()[1].at("lr"), 0.01 * 2 / 3, 1e-12);
  EXPECT_EQ(metrics()[2].at("lr"), 0.01);
}

}  // namespace
}  // namespace lathe::testing
