#include "lathe/lab/answer_comparison.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "lathe/base/error.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

struct Line {
  int step, group;
  double reward;
  int length = 4;
};

class Comparison : public ::testing::Test {
 protected:
  std::string run(const std::string& name, const std::vector<Line>& lines) {
    std::string text;
    for (const Line& l : lines)
      text += Json{{"step", l.step},
                   {"group", l.group},
                   {"prompt_ids", {l.group}},
                   {"completion_ids", std::vector<int>(static_cast<size_t>(l.length), 1)},
                   {"reward", l.reward},
                   {"rewards", {{"model", -l.reward}}}}
                  .dump() +
              "\n";
    folder_.write(name + "/valid_rollouts.jsonl", text);
    return (folder_ / name).string();
  }
  TempFolder folder_;
};

TEST_F(Comparison, CountsWinsPromptByPrompt) {
  const std::string a = run("a", {{0, 0, 9}, {5, 0, 1}, {5, 1, 2}, {5, 2, 3}, {5, 3, 0}});
  const std::string b = run("b", {{7, 0, 0}, {7, 1, 2}, {7, 2, 1}, {7, 3, 5}});
  const AnswerComparison c = compare_answers({a}, {b});
  EXPECT_EQ(c.first.step, 5);
  EXPECT_EQ(c.second.step, 7);
  EXPECT_EQ(c.prompts, 4);
  EXPECT_DOUBLE_EQ(c.wins, 0.5);
  EXPECT_DOUBLE_EQ(c.ties, 0.25);
  EXPECT_DOUBLE_EQ(c.losses, 0.25);
  EXPECT_DOUBLE_EQ(c.win_rate, 0.625);
  // Of 1, 1/2, 1, 0.
  EXPECT_NEAR(c.error, std::sqrt((2 * 0.375 * 0.375 + 0.125 * 0.125 + 0.625 * 0.625) / 3 / 4),
              1e-12);
  EXPECT_DOUBLE_EQ(c.length_controlled, 0.625);  // all are equally long
  EXPECT_DOUBLE_EQ(c.first.reward, 1.5);
  EXPECT_DOUBLE_EQ(c.second.reward, 2);
  EXPECT_DOUBLE_EQ(compare_answers({a}, {b}, "model").win_rate, 0.375);
}

// The longer answer wins, whoever gave it; the first model's are longer.
TEST_F(Comparison, ControlsForLength) {
  std::vector<Line> first, second;
  for (int i = 0; i < 200; ++i) {
    const bool longer = i % 10 < 8;
    const bool wins = i / 10 % 10 < 9 ? longer : !longer;
    first.push_back({1, i, wins ? 1.0 : 0.0, longer ? 30 : 10});
    second.push_back({1, i, 0.5, 20});
  }
  const AnswerComparison c = compare_answers({run("a", first)}, {run("b", second)});
  EXPECT_NEAR(c.win_rate, 0.74, 1e-9);
  EXPECT_NEAR(c.length_controlled, 0.5, 0.05);
}

TEST_F(Comparison, OfAllWonIsCloseToOne) {
  std::vector<Line> first, second;
  for (int i = 0; i < 10; ++i) first.push_back({1, i, 1, i}), second.push_back({1, i, 0, 3});
  const AnswerComparison c = compare_answers({run("a", first)}, {run("b", second)});
  EXPECT_DOUBLE_EQ(c.win_rate, 1);
  EXPECT_GT(c.length_controlled, 0.99);
}

TEST_F(Comparison, SeveralAnswersToAPromptAreOneObservation) {
  const std::string a = run("a", {{1, 0, 1}, {1, 0, 1}, {1, 1, 0}, {1, 1, 0}});
  const std::string b = run("b", {{1, 0, 0}, {1, 0, 0}, {1, 1, 1}, {1, 1, 1}});
  const AnswerComparison c = compare_answers({a}, {b});
  EXPECT_EQ(c.prompts, 2);
  EXPECT_DOUBLE_EQ(c.win_rate, 0.5);
  EXPECT_DOUBLE_EQ(c.error, 0.5);
}

TEST_F(Comparison, RefusesWhatCannotBeCompared) {
  const std::string a = run("a", {{0, 0, 1}, {4, 0, 1}}), b = run("b", {{4, 1, 1}});
  const auto says = [&](const HeldOutAnswers& x, const HeldOutAnswers& y,
                        const std::optional<std::string>& part, const std::string& want) {
    const std::string text = error_text([&] { compare_answers(x, y, part); });
    EXPECT_NE(text.find(want), std::string::npos) << text;
  };
  says({a}, {b}, {}, "did not answer the same prompts");
  says({a, 3}, {a}, {}, "was not validated after step 3; it was after 0, 4");
  says({a}, {a, 0}, "modell", "has no part of the reward named 'modell'; it has model");
  says({(folder_ / "c").string()}, {a}, {}, "holds no valid_rollouts.jsonl");
}

}  // namespace
}  // namespace lathe
