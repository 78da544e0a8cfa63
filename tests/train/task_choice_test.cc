// Tasks by the ratios of a file of signals.
#include "lathe/train/task_choice.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"

namespace lathe {
namespace {

class TaskChoice : public ::testing::Test {
 protected:
  std::filesystem::path signal(const std::string& text) const {
    return folder_.write("signal.json", text);
  }
  const std::vector<std::string> tasks_ = {"sums", "sums.hard", "copy", "unknown"};
  const std::string known_ =
      R"({"metrics": [{"name": "copy.acc", "ratio": 2.5, "runs": 3}, {"name": "sums.acc", "ratio": 1},
      {"name": "sums.bits_per_byte", "ratio": 7}, {"name": "sums.hard.acc", "ratio": 9},
      {"name": "copy.bits_per_byte", "ratio": 0.5}, {"name": "other.acc", "ratio": 99}]})";
  TempFolder folder_;
};

TEST_F(TaskChoice, TheLargestRatiosOfTheTasks) {
  const auto chosen = best_tasks(signal(known_), tasks_, 3);
  ASSERT_EQ(chosen.size(), 3U);
  EXPECT_EQ(chosen[0].name, "sums.hard");
  EXPECT_EQ(chosen[0].metric, "acc");
  EXPECT_EQ(chosen[0].ratio, 9);
  EXPECT_EQ(chosen[1].name, "sums");
  EXPECT_EQ(chosen[1].metric, "bits_per_byte");
  EXPECT_EQ(chosen[2].name, "copy");
  EXPECT_EQ(chosen[2].metric, "acc");
  EXPECT_EQ(best_tasks(signal(known_), tasks_, 1).size(), 1U);
}

TEST_F(TaskChoice, SaysWhatIsMissing) {
  const auto refusal = [&](const std::filesystem::path& file, int64_t best) {
    return error_text([&] { best_tasks(file, tasks_, best); });
  };
  EXPECT_EQ(refusal(signal(known_), 5),
            "[eval.best] is 5, but eval.tasks are 4 tasks; set it to fewer, or leave it and "
            "eval.signal out");
  const std::string file = (folder_ / "signal.json").string();
  EXPECT_EQ(
      refusal(signal(known_), 4),
      "[" + file +
          "] has 3 of eval.tasks (sums, sums.hard, copy, unknown), but eval.best is 4; measure "
          "them in two runs or more and write the file again with `lathe eval signal`, or set "
          "eval.best lower");
  EXPECT_NE(refusal(signal(R"({"metrics": []})"), 1).find("has none of eval.tasks"),
            std::string::npos);
  for (const char* text : {"[]", "{}", R"({"metrics": 3})", R"({"metrics": [{"name": "a"}]})"}) {
    const std::string said = refusal(signal(text), 1);
    EXPECT_NE(said.find("is not what `lathe eval signal RUNS --out FILE` writes"),
              std::string::npos)
        << said;
  }
  EXPECT_NE(refusal(folder_ / "none.json", 1).find("none.json"), std::string::npos);
}

}  // namespace
}  // namespace lathe
