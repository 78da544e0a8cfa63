// HumanEval's problems (Chen et al. 2021, arXiv:2107.03374), where its file is there: their solutions pass their
// tests, and other answers do not.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "io/sandbox_testing.h"
#include "io/shared_data.h"
#include "lathe/train/reward/unit_tests.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

std::vector<Json> rows_of(const std::filesystem::path& file) {
  std::vector<Json> rows;
  std::istringstream lines(unpacked(file));
  for (std::string line; std::getline(lines, line);) rows.push_back(Json::parse(line));
  return rows;
}

TEST(HumanEval, SolutionsPassAndOtherAnswersDoNot) {
  if (const auto reason = no_python()) GTEST_SKIP() << *reason;
  const std::filesystem::path file = shared_data() / "eval/humaneval/HumanEval.jsonl.gz";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "there is no " << file;
  const std::vector<Json> rows = rows_of(file);
  ASSERT_EQ(rows.size(), 164U);
  PythonSandbox python({.seconds = 60, .memory = 1024}, "test");
  const auto passed = [&](const std::function<std::string(const Json&)>& answer_to) {
    std::vector<std::string> answers;
    for (const Json& row : rows) answers.push_back(answer_to(row));
    std::vector<RewardInput> inputs;
    for (size_t i = 0; i < rows.size(); ++i)
      inputs.push_back({.row = rows[i], .completion = answers[i]});
    std::string failed;
    size_t count = 0;
    const auto results = unit_tests(inputs, {}, python, {});
    for (size_t i = 0; i < rows.size(); ++i) {
      count += results[i].value == 1 ? 1 : 0;
      if (results[i].value != 1) failed += rows[i].at("task_id").get<std::string>() + " ";
    }
    return std::pair(count, failed);
  };
  const auto solution = [](const Json& row) {
    return row.at("canonical_solution").get<std::string>();
  };
  const auto [completed, not_completed] = passed(solution);
  EXPECT_EQ(completed, 164U) << not_completed;
  // The whole function in a block, as a chat model writes it.
  const auto [whole, not_whole] = passed([&](const Json& row) {
    return "Here it is:\n```python\n" + row.at("prompt").get<std::string>() + solution(row) +
           "```\nI hope that helps.";
  });
  EXPECT_EQ(whole, 164U) << not_whole;
  EXPECT_EQ(passed([](const Json&) { return "    return None\n"; }).first, 0U);
  EXPECT_EQ(passed([](const Json&) { return "    import os\n    os._exit(0)\n"; }).first, 0U);
  EXPECT_EQ(passed([](const Json&) { return "    pass\ndef check(f): pass\n"; }).first, 0U);
}

}  // namespace
}  // namespace lathe::testing
