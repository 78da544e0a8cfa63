// lathe rollouts on a run written by hand: steps, chosen answers, flags, damage.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "text/sample_json.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

class RolloutsCommand : public ::testing::Test {
 protected:
  RolloutsCommand() {
    folder_.write("tokenizer/tokenizer.json", testing::sample_json({}));
    std::string metrics;
    for (int step = 1; step <= 20; ++step)
      metrics += Json{{"step", step}, {"loss", 1.0}, {"reward", 0.5}, {"frac_reward_zero_std", 0.9}}
                     .dump() +
                 "\n";
    folder_.write("run/metrics.jsonl", metrics);
    folder_.write("run/recipe.json",
                  Json{{"data", {{"tokenizer", (folder_ / "tokenizer").string()}}},
                       {"train", {{"steps", 20}}}}
                      .dump());
    for (int step = 1; step <= 2; ++step)
      for (int i = 0; i < 4; ++i) add(line(step, i / 2, step == 2 ? -i : i));
    write();
  }
  static Json line(int step, int group, double reward) {
    return {{"step", step},
            {"group", group},
            {"prompt_ids", {'a', 'b', '\n', 'c'}},
            {"completion_ids", {'x', 'y', 264}},
            {"completion", "xy"},
            {"reward", reward},
            {"rewards", {{"exact_match", reward}, {"ended", 1.0}}},
            {"reward_weights", {1.0, 0.0}},
            {"advantage", reward / 2},
            {"ended", true}};
  }
  void add(const Json& line) { lines_.push_back(line); }
  void write(const std::string& end = "") {
    std::string text;
    for (const Json& line : lines_) text += line.dump() + "\n";
    folder_.write("run/rollouts.jsonl", text + end);
  }
  CommandResult run(std::vector<std::string> options) const {
    options.insert(options.begin(), {"rollouts", (folder_ / "run").string()});
    return run_lathe(options);
  }
  Json json(std::vector<std::string> options) const {
    options.push_back("--json");
    const CommandResult r = run(std::move(options));
    EXPECT_EQ(r.code, 0) << r.err;
    return Json::parse(r.out);
  }
  std::vector<double> rewards(std::vector<std::string> options) const {
    std::vector<double> all;
    const Json found = json(std::move(options));
    for (const Json& line : found.at("rollouts")) all.push_back(line.at("reward"));
    return all;
  }
  std::vector<Json> lines_;
  TempFolder folder_;
};

TEST_F(RolloutsCommand, ListsStepsAndWhatLooksWrong) {
  lines_[1]["failed"] = true;
  lines_[0]["filtered"] = true;
  write("{\"step\": 3, \"gro");  // cut by a kill
  const Json all = json({});
  ASSERT_EQ(all.at("steps").size(), 2U);
  const Json& first = all.at("steps")[0];
  EXPECT_EQ(first.at("rollouts"), 4);
  EXPECT_EQ(first.at("groups"), 2);
  EXPECT_EQ(first.at("failed"), 1);
  EXPECT_EQ(first.at("filtered"), 1);
  EXPECT_DOUBLE_EQ(first.at("reward").get<double>(), 5.0 / 3);
  EXPECT_DOUBLE_EQ(first.at("best").get<double>(), 3);
  EXPECT_DOUBLE_EQ(first.at("length").get<double>(), 3);
  EXPECT_EQ(first.at("rewards").at("ended"), 1);
  EXPECT_DOUBLE_EQ(all.at("steps")[1].at("reward_std").get<double>(), std::sqrt(1.25));
  ASSERT_EQ(all.at("flags").size(), 1U);
  EXPECT_EQ(all.at("flags")[0].at("name"), "collapsed_groups");
  const CommandResult text = run({});
  EXPECT_NE(text.out.find("      2         4       2    -1.5000     1.1180     0.0000       3.0"),
            std::string::npos)
      << text.out;
  EXPECT_NE(text.out.find("collapsed_groups: in 90 % of the groups all answers are worth the same"),
            std::string::npos)
      << text.out;
  const CommandResult runs = run_lathe({"runs", folder_.path().string()});
  EXPECT_NE(runs.out.find("collapsed_groups"), std::string::npos) << runs.out;
  const std::string page = (folder_ / "page.html").string();
  const CommandResult report = run_lathe({"report", (folder_ / "run").string(), "--out", page});
  EXPECT_EQ(report.code, 0) << report.err;
  EXPECT_NE(content_of(page).find("What looks wrong"), std::string::npos);
}

TEST_F(RolloutsCommand, ChoosesAnswers) {
  using Numbers = std::vector<double>;
  EXPECT_EQ(rewards({"--step", "2"}), (Numbers{0, -1, -2, -3}));
  EXPECT_EQ(rewards({"--step", "1", "--group", "1"}), (Numbers{2, 3}));
  EXPECT_EQ(rewards({"--best", "3"}), (Numbers{3, 2, 1}));
  EXPECT_EQ(rewards({"--worst", "2"}), (Numbers{-3, -2}));
  EXPECT_EQ(rewards({"--worst", "1", "--step", "1"}), (Numbers{0}));
  EXPECT_EQ(rewards({"--best", "99"}).size(), 8U);
  lines_[3]["failed"] = true;
  write();
  EXPECT_EQ(rewards({"--best", "1"}), (Numbers{2}));
}

TEST_F(RolloutsCommand, ShowsPromptAnswerAndParts) {
  lines_[3]["ended"] = false;
  write();
  const CommandResult r = run({"--best", "1"});
  EXPECT_EQ(r.out,
            "step 1, group 1: reward 3 (exact_match 3, ended 1), advantage 1.5, 3 tokens, cut\n"
            "  prompt\n    ab\n    c\n  answer\n    xy\n\n");
  EXPECT_EQ(json({"--best", "1"}).at("rollouts")[0].at("prompt"), "ab\nc");
  lines_[3]["transcript"] = "<call>1+1</call> 2 xy";  // of an answer with tools
  write();
  EXPECT_NE(run({"--best", "1"}).out.find("  answer\n    <call>1+1</call> 2 xy\n"),
            std::string::npos);
  std::filesystem::remove_all(folder_ / "tokenizer");
  EXPECT_NE(run({"--best", "1"}).out.find("[97,98,10,99]"), std::string::npos);
}

TEST_F(RolloutsCommand, RefusesInWords) {
  const auto error = [&](const std::vector<std::string>& options) {
    const CommandResult r = run(options);
    EXPECT_NE(r.code, 0);
    EXPECT_EQ(r.out, "");
    return r.err;
  };
  EXPECT_NE(error({"--best", "1", "--worst", "1"}).find("ask for one of them"), std::string::npos);
  EXPECT_NE(error({"--step", "7"}).find("has no such rollout (its steps are 1 to 2)"),
            std::string::npos);
  write("nonsense\n{}\n");
  EXPECT_NE(error({}).find("rollouts.jsonl] line 9 is no rollout"), std::string::npos);
  std::filesystem::remove(folder_ / "run/rollouts.jsonl");
  EXPECT_NE(error({}).find("holds no rollouts.jsonl"), std::string::npos);
}

TEST_F(RolloutsCommand, ShowsAndComparesHeldOutAnswers) {
  std::string text;
  for (const int step : {0, 9})
    for (int group = 0; group < 4; ++group) {
      Json answer = line(step, group, step == 9 && group < 3 ? 1 : 0.5);
      answer.erase("advantage");
      text += answer.dump() + "\n";
    }
  folder_.write("run/valid_rollouts.jsonl", text);
  const Json steps = json({"--held-out"}).at("steps");
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps[0].at("step"), 0);
  EXPECT_DOUBLE_EQ(steps[1].at("reward").get<double>(), 0.875);
  EXPECT_EQ(rewards({"--held-out", "--step", "9", "--worst", "1"}), std::vector<double>{0.5});
  const std::string out = (folder_ / "run").string();
  const Json won = json({"--against", out, "--against-step", "0"});
  EXPECT_DOUBLE_EQ(won.at("win_rate").get<double>(), 0.875);
  EXPECT_EQ(won.at("first").at("step"), 9);
  EXPECT_EQ(won.at("second").at("step"), 0);
  EXPECT_DOUBLE_EQ(json({"--against", out, "--against-step", "0", "--part", "ended"})
                       .at("win_rate")
                       .get<double>(),
                   0.5);
  const CommandResult shown = run({"--against", out, "--against-step", "0"});
  EXPECT_NE(shown.out.find("4 prompts: won 75.0 %, equal 25.0 %, lost 0.0 %\n"
                           "win rate 0.875 (standard error 0.125), at equal lengths 0.875\n"),
            std::string::npos)
      << shown.out;
}

TEST_F(RolloutsCommand, RefusesHalfAComparison) {
  const auto says = [&](std::vector<std::string> options, const std::string& want) {
    const CommandResult r = run(std::move(options));
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(want), std::string::npos) << r.err;
  };
  const std::string out = (folder_ / "run").string();
  says({"--part", "model"}, "[--part] nothing is compared; name a run with --against");
  says({"--against", out, "--best", "3"}, "[--against] compares all answers of a step");
  says({"--against", out, "--held-out"}, "[--against] compares all answers of a step");
  says({"--against", out},
       "holds no valid_rollouts.jsonl; give the folder of a run that draws answers");
}

}  // namespace
}  // namespace lathe
