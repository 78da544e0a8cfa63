// The reward of code: which code of an answer runs, with which tests, and what it is worth.

#include "lathe/train/reward/unit_tests.h"

#include "io/sandbox_testing.h"
#include "lathe/train/reward/rewards.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

class UnitTestsOf : public AnswersRun {
 protected:
  static PythonTests made(const std::string& row, const std::string& completion) {
    const Json parsed = Json::parse(row);
    return python_tests_of({.row = parsed, .completion = completion, .place = "rows:3"});
  }
  std::vector<RewardResult> judged(const char* section, const std::string& row,
                                   const std::vector<std::string>& completions,
                                   const SandboxConfig& sandbox = {}) {
    RewardConfig config;
    read_config(config, Json::parse(section), "reward");
    config.check();
    const Json parsed = Json::parse(row);
    std::vector<RewardInput> inputs;
    for (const std::string& each : completions)
      inputs.push_back({.row = parsed, .completion = each, .place = "rows:3"});
    Rewards rewards(config, {}, {}, sandbox);
    rewards.check();
    return rewards.of(inputs);
  }
  static constexpr const char* kAll = R"({"functions": ["unit_tests"]})";
};

TEST_F(UnitTestsOf, ProgramsStandWhereTheirRowsSay) {
  PythonTests got = made(R"({"tests": "assert x == 1"})", "```\nx = 1\n```");
  EXPECT_EQ(got.program, "x = 1\n");
  EXPECT_EQ(got.tests, (std::vector<std::string>{"assert x == 1"}));
  EXPECT_EQ(made(R"({"tests": ["a", "b"]})", "x").tests, (std::vector<std::string>{"a", "b"}));

  // As in HumanEval: the answer completes the prompt, or defines the function again.
  const Json row = {{"prompt", "import math\n\ndef root(x):\n    \"\"\" of x \"\"\"\n"},
                    {"test", "def check(candidate):\n    assert candidate(4) == 2\n"},
                    {"entry_point", "root"}};
  got = made(row.dump(), "    return math.sqrt(x)\n");
  EXPECT_EQ(got.program, row["prompt"].get<std::string>() + "    return math.sqrt(x)\n");
  EXPECT_EQ(got.tests,
            (std::vector<std::string>{row["test"].get<std::string>() + "\ncheck(root)"}));
  got = made(row.dump(), "```python\ndef root(x):\n    return x ** 0.5\n```");
  EXPECT_EQ(got.program,
            row["prompt"].get<std::string>() + "\ndef root(x):\n    return x ** 0.5\n");
  // A prompt that is no code, or another function's.
  Json spoken = row;
  spoken["prompt"] = "Write a function root.";
  EXPECT_EQ(made(spoken.dump(), "def root(x): return 2").program, "def root(x): return 2");
  spoken["prompt"] = "def rootless(x): pass\n";
  EXPECT_EQ(made(spoken.dump(), "def root(x): return 2").program, "def root(x): return 2");
  spoken["prompt"] = Json::array({{{"role", "user"}, {"content", "def root(x):"}}});
  EXPECT_EQ(made(spoken.dump(), "def root(x): return 2").program, "def root(x): return 2");
}

TEST_F(UnitTestsOf, RowsWithoutTestsAreRefused) {
  const auto refusal = [](const char* row) { return error_text([&] { made(row, "x"); }); };
  EXPECT_EQ(
      refusal("{}"),
      "[rows:3] unit_tests needs 'tests', a text of Python or a list of such texts (or 'test' and 'entry_point', "
      "as HumanEval has them), and the row has none; add the field, or choose another of reward.functions");
  for (const char* row :
       {R"({"tests": 3})", R"({"tests": []})", R"({"tests": ["a", 1]})", R"({"test": {}})"})
    EXPECT_NE(refusal(row).find("and the row has "), std::string::npos) << row;
}

TEST_F(UnitTestsOf, KeysAndSectionsThatNothingReadsAreRefused) {
  RewardConfig config;
  read_config(config, Json::parse(R"({"functions": ["ended"], "partial_credit": true})"), "reward");
  EXPECT_EQ(
      error_text([&] { config.check(); }),
      "[reward.partial_credit] only the function unit_tests reads partial_credit; add it to reward.functions, or "
      "leave the key out");
  recipe_["data"].erase("valid");
  recipe_["objective"] = {{"name", "grpo"}};
  recipe_["reward"] = {{"functions", {"ended"}}};
  recipe_["sandbox"] = {{"seconds", 2}};
  EXPECT_EQ(
      error_text([&] { read_recipe(recipe_); }),
      "[sandbox] nothing runs programs that the model wrote; leave the section out, or add unit_tests to "
      "reward.functions or python to objective.tools");
  recipe_["reward"]["functions"] = {"unit_tests"};
  EXPECT_EQ(write_recipe(read_recipe(recipe_)).at("sandbox").at("seconds"), 2);
  recipe_["reward"]["functions"] = {"ended"};
  recipe_["objective"]["tools"] = {"python"};
  EXPECT_EQ(read_recipe(recipe_).sandbox.seconds, 2);
}

TEST_F(UnitTestsOf, WithoutAnInterpreterTheRunDoesNotBegin) {
  if (const auto reason = no_sandbox()) GTEST_SKIP() << *reason;
  const std::string text = error_text([&] { judged(kAll, "{}", {"x"}, {.python = "python4711"}); });
  EXPECT_EQ(
      text.find(
          "[sandbox.python] it is 'python4711', and there is no such program in PATH; install "),
      0U)
      << text;
}

TEST_F(UnitTestsOf, ArePassedAllOrInPart) {
  if (const auto reason = no_python()) GTEST_SKIP() << *reason;
  const std::string row =
      R"({"tests": ["assert f(1) == 2", "assert f(2) == 3", "assert f(0) == 0"]})";
  const std::vector<std::string> answers = {"def f(x): return x + 1 if x else 0",
                                            "def f(x): return x + 1", "I do not know.",
                                            "while True: pass"};
  const auto all = judged(kAll, row, answers, {.seconds = 1});
  EXPECT_EQ(all[0].reward, 1);
  for (size_t i = 1; i < answers.size(); ++i) EXPECT_EQ(all[i].reward, 0) << answers[i];
  EXPECT_EQ(all[0].parts.at(0).name, "unit_tests");
  EXPECT_EQ(all[0].tests, PythonVerdict::End::kTested);
  EXPECT_EQ(all[2].tests, PythonVerdict::End::kFailed);
  EXPECT_EQ(all[3].tests, PythonVerdict::End::kTimeout);
  EXPECT_FALSE(all[3].failed);
  const auto part =
      judged(R"({"functions": ["ended", "unit_tests"], "partial_credit": true, "weights": [1, 3]})",
             row, answers, {.seconds = 1});
  EXPECT_DOUBLE_EQ(part[0].reward, 3);
  EXPECT_DOUBLE_EQ(part[1].reward, 2);
  EXPECT_DOUBLE_EQ(part[2].reward, 0);
  EXPECT_EQ(error_text([&] {
              judged(kAll, R"({"tests": "assert ("})", {"x = 1"});
            }).find("[rows:3] 'tests' are no Python: SyntaxError: "),
            0U);
}

TEST_F(UnitTestsOf, StandInTheLogAndTheMetricsOfARun) {
  if (const auto reason = no_python()) GTEST_SKIP() << *reason;
  recipe_["model"] = {{"from", model_folder("policy", model_config("decoder", 0), 3)}};
  recipe_["objective"] = {{"name", "grpo"}, {"num_generations", 4}, {"max_completion_length", 6}};
  recipe_["reward"] = {{"functions", {"unit_tests", "ended"}}};
  recipe_["data"] = {
      {"train",
       folder_.write("prompts.jsonl", R"({"prompt": "x =", "tests": "assert True"})").string()}};
  recipe_["train"].update({{"steps", 2}, {"batch_size", 8}});
  train(read_recipe(recipe_));
  for (const Json& line : metrics()) {
    const double errors = line.at("unit_tests/errors").get<double>();
    EXPECT_EQ(line.at("rewards/unit_tests/mean").get<double>(), (8 - errors) / 8);
    EXPECT_EQ(line.at("unit_tests/timeouts"), 0);
    EXPECT_EQ(line.at("unit_tests/refused"), 0);
    EXPECT_EQ(line.at("reward_failures"), 0);
  }
  int64_t count = 0;
  for (const Json& line : rollouts()) {
    EXPECT_TRUE(line.at("rewards").contains("unit_tests"));
    ++count;
  }
  EXPECT_EQ(count, 16);
}

}  // namespace
}  // namespace lathe::testing
