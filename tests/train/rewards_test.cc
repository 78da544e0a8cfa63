// What answers are worth: functions, weights, a program.

#include "lathe/train/reward/rewards.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "io/sandbox_testing.h"
#include "io/temp_folder.h"
#include "lathe/base/catalogue.h"
#include "lathe/config/read_write.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

RewardConfig config_of(const char* section) {
  RewardConfig config;
  read_config(config, Json::parse(section), "reward");
  return config;
}

class RewardsOf : public ::testing::Test {
 protected:
  // Of `tokens` different tokens.
  RewardResult judged(const char* section, std::string_view completion, const char* row = "{}",
                      int64_t tokens = 0, bool ended = false) {
    std::vector<int32_t> ids(static_cast<size_t>(tokens + (ended ? 1 : 0)));
    std::iota(ids.begin(), ids.end(), 0);
    const Json parsed = Json::parse(row);
    Rewards rewards(config_of(section), log_);
    return of(rewards, {.row = parsed, .completion = completion, .ids = ids, .ended = ended});
  }
  static RewardResult of(Rewards& rewards, const RewardInput& in) {
    return rewards.of({&in, 1}).at(0);
  }
  double reward(const char* section, std::string_view completion, const char* row = "{}") {
    return judged(section, completion, row).reward;
  }
  double of_ids(const char* section, const std::vector<int32_t>& ids, bool ended = true) {
    const Json row = Json::object();
    Rewards rewards(config_of(section), log_);
    return of(rewards, {.row = row, .completion = "", .ids = ids, .ended = ended}).reward;
  }
  Rewards made(const char* section) { return {config_of(section), log_}; }

  std::string said_;
  const Log log_{[this](LogLevel, const std::string& text) { said_ += text + "\n"; }};
};

TEST_F(RewardsOf, ExactMatchComparesTheWholeAnswer) {
  const char* exact = R"({"functions": ["exact_match"]})";
  EXPECT_EQ(reward(exact, "42", R"({"answer": "42"})"), 1);
  EXPECT_EQ(reward(exact, "42", R"({"answer": 42})"), 1);
  EXPECT_EQ(reward(exact, " 42", R"({"answer": "42"})"), 0);
  EXPECT_EQ(reward(exact, "", R"({"answer": ""})"), 1);
  EXPECT_EQ(reward(exact, "true", R"({"answer": true})"), 1);
  EXPECT_EQ(reward(exact, "größer", R"({"answer": "größer"})"), 1);
  EXPECT_EQ(
      error_text([&] { reward(exact, "42", R"({"question": "6*7"})"); }),
      "[reward] the row {\"question\":\"6*7\"} has no 'answer' to compare with; add the field, or choose "
      "another of reward.functions");
}

TEST_F(RewardsOf, NumberMatchComparesTheLastNumbers) {
  const char* number = R"({"functions": ["number_match"]})";
  struct Pair {
    const char *completion, *answer;
    double reward;
  };
  for (const Pair& p : {Pair{"so it is 18.", "... #### 18", 1},
                        Pair{"1,234 apples", "1234", 1},
                        Pair{"3.50", "3.5", 1},
                        Pair{"-7", "-7", 1},
                        Pair{"7", "-7", 0},
                        Pair{"9-5", "5", 1},
                        Pair{"9 -5", "-5", 1},
                        Pair{"GPT-4", "4", 1},
                        Pair{"(-4)", "-4", 1},
                        Pair{"none", "4", 0},
                        Pair{"4", "none", 0},
                        Pair{"12, 13", "13", 1},
                        Pair{"4 or 5", "4", 0},
                        Pair{"5.", "5", 1},
                        Pair{"1000000.4", "1000000.1", 1},
                        Pair{"1.0", "1.1", 0},
                        Pair{"", "5", 0},
                        Pair{"−", "5", 0},
                        Pair{"\\boxed{7}, not 8", "7", 1},
                        Pair{"\\boxed{1} \\boxed{\\text{2}} 3", "2", 1},
                        Pair{"\\boxed{7", "7", 1},
                        Pair{"\\boxed{x} 4", "4", 0},
                        Pair{"#### 18 of 20", "18", 1},
                        Pair{"1 #### 2 #### $1,003", "1003", 1},
                        Pair{"#### none, or 4", "4", 1},
                        Pair{"17+25=42", "42", 1},
                        Pair{"42", "17+25=42", 1}})
    EXPECT_EQ(reward(number, p.completion, Json({{"answer", p.answer}}).dump().c_str()), p.reward)
        << p.completion << " | " << p.answer;
}

TEST_F(RewardsOf, FormatIsThatOfTheWholeAnswer) {
  const char* either = R"({"functions": ["format"], "pattern": "a|b+"})";
  EXPECT_EQ(reward(either, "a"), 1);
  EXPECT_EQ(reward(either, "bbb"), 1);
  EXPECT_EQ(reward(either, "ab"), 0);
  EXPECT_EQ(reward(either, "a\n"), 0);
  EXPECT_EQ(reward(either, ""), 0);
  EXPECT_EQ(reward(R"({"functions": ["format"], "pattern": "x*"})", ""), 1);
  EXPECT_EQ(reward(R"({"functions": ["format"], "pattern": "(?s)<a>.*</a>"})", "<a>1\n2</a>"), 1);
  EXPECT_EQ(reward(R"({"functions": ["format"], "pattern": "."})", "\xff"), 0);
}

TEST_F(RewardsOf, LengthAndEndCountTokens) {
  const char* band = R"({"functions": ["length_band"], "length_min": 2, "length_max": 4})";
  for (const auto& [tokens, want] : std::map<int64_t, double>{{1, 0}, {2, 1}, {4, 1}, {5, 0}})
    EXPECT_EQ(judged(band, "", "{}", tokens).reward, want) << tokens;
  EXPECT_EQ(judged(R"({"functions": ["ended"]})", "", "{}", 3, true).reward, 1);
  EXPECT_EQ(judged(R"({"functions": ["ended"]})", "", "{}", 3, false).reward, 0);
}

TEST_F(RewardsOf, RepetitionIsTheShareOfTokensThatCameBefore) {
  const char* again = R"({"functions": ["repetition"]})";
  EXPECT_EQ(of_ids(again, {1, 2, 3, 4, 0}), 0);
  EXPECT_EQ(of_ids(again, {5, 5, 0}), 0);  // the end is no token of the answer
  EXPECT_EQ(of_ids(again, {}, false), 0);
  EXPECT_DOUBLE_EQ(of_ids(again, {5, 5, 5, 5, 0}), -0.5);
  EXPECT_DOUBLE_EQ(of_ids(again, {1, 2, 3, 1, 2, 3}, false), -0.25);
  // The example of the paper's pairs.
  const char* pairs = R"({"functions": ["repetition"], "ngram_size": 2})";
  EXPECT_EQ(of_ids(pairs, {1, 2, 3, 4}, false), 0);
  EXPECT_DOUBLE_EQ(of_ids(pairs, {5, 5, 5, 5, 5}, false), -0.75);
}

TEST_F(RewardsOf, SoftOverlongFallsToMinusOne) {
  const char* soft =
      R"({"functions": ["soft_overlong"], "max_completion_len": 100, "soft_punish_cache": 20})";
  const auto of_length = [&](const char* section, size_t length) {
    return of_ids(section, std::vector<int32_t>(length, 1));
  };
  for (const auto& [length, want] :
       std::map<size_t, double>{{0, 0}, {80, 0}, {81, -0.05}, {90, -0.5}, {100, -1}, {101, -1}})
    EXPECT_DOUBLE_EQ(of_length(soft, length), want) << length;
  const char* hard = R"({"functions": ["soft_overlong"], "max_completion_len": 3})";
  EXPECT_EQ(of_length(hard, 3), 0);
  EXPECT_EQ(of_length(hard, 4), -1);
}

TEST_F(RewardsOf, AreWeighedInTheirOrder) {
  const RewardResult r = judged(
      R"({"functions": ["ended", "repetition"], "command": "while read -r a; do echo -0.25; done",
          "weights": [2, 10, 4]})",
      "a", "{}", 4, true);
  EXPECT_DOUBLE_EQ(r.reward, 2 - 0 - 1);
  ASSERT_EQ(r.parts.size(), 3U);
  EXPECT_EQ(r.parts[0].name, "ended");
  EXPECT_EQ(r.parts[1].name, "repetition");
  EXPECT_EQ(r.parts[2].name, "command");
  EXPECT_EQ(r.parts[2].value, -0.25);  // as it is without its weight
  EXPECT_EQ(r.parts[2].weight, 4);
  EXPECT_FALSE(r.failed);
}

TEST_F(RewardsOf, AWeightOfZeroOnlyRecords) {
  const RewardResult r =
      judged(R"({"functions": ["ended", "length_band"], "length_max": 9, "weights": [0, 3]})", "",
             "{}", 4, true);
  EXPECT_EQ(r.reward, 3);
  ASSERT_EQ(r.parts.size(), 2U);
  EXPECT_EQ(r.parts[0].name, "ended");
  EXPECT_EQ(r.parts[0].value, 1);
  EXPECT_EQ(r.parts[0].weight, 0);
}

TEST_F(RewardsOf, AProgramGetsTheRowAndTheAnswer) {
  TempFolder folder;
  const std::string asked = (folder / "asked").string();
  const Json section = {{"command", "while read -r a; do printf '%s\\n' \"$a\" >> '" + asked +
                                        "'; echo ' 1e-1 '; done"}};
  Rewards rewards = made(section.dump().c_str());
  const Json row =
      Json::parse(R"({"prompt": "a\nb", "tests": [1, {"x": null}], "completion": "old"})");
  for (const std::string_view text : {"zwei\nLinien", "\xff|"}) {
    const RewardResult r = of(rewards, {.row = row, .completion = text});
    EXPECT_EQ(r.reward, 0.1);
    EXPECT_FALSE(r.failed);
  }
  std::ifstream lines(asked);
  std::string line;
  std::getline(lines, line);
  Json want = row;
  want["completion"] = "zwei\nLinien";
  EXPECT_EQ(Json::parse(line), want);
  std::getline(lines, line);
  want["completion"] = "\xef\xbf\xbd|";
  EXPECT_EQ(Json::parse(line), want);
}

TEST_F(RewardsOf, AProgramThatFailsIsStartedAgain) {
  TempFolder folder;
  const std::string starts = (folder / "starts").string();
  constexpr double kNever = 300;  // seconds that are never over
  const auto failing = [&](const std::string& behaviour) {
    std::ofstream(starts).close();
    said_.clear();
    const Json section = {{"command", "echo x >> '" + starts + "'; read a; " + behaviour},
                          {"timeout", kNever}};
    Rewards rewards = made(section.dump().c_str());
    const Json row = Json::object();
    for (int i = 0; i < 7; ++i) {
      const RewardResult r = of(rewards, {.row = row, .completion = "x"});
      EXPECT_TRUE(r.failed) << behaviour;
      EXPECT_TRUE(r.parts.empty());
    }
    EXPECT_EQ(content_of(starts), "x\nx\nx\nx\nx\nx\nx\n") << behaviour;
  };
  failing("exit 1");
  EXPECT_NE(said_.find(
                "the verifier (reward.command) ended; the answer does not count and the program is "
                "started again\n"),
            std::string::npos)
      << said_;
  // Five warnings, of which the last says so.
  EXPECT_EQ(std::ranges::count(said_, '\n'), 5) << said_;
  EXPECT_NE(said_.find("; further failures are only counted, as reward_failures\n"),
            std::string::npos);
  for (const char* answer : {"nan", "inf", "-inf", "1 2", "true", "0x1p3x", "", "1,5"}) {
    failing(std::string("echo '") + answer + "'; exec sleep 100");
    EXPECT_NE(said_.find(fmt::format("said '{}' instead of a finite number", answer)),
              std::string::npos)
        << said_;
  }
  failing("head -c 2000000 /dev/zero; exec sleep 100");
  EXPECT_NE(said_.find("printed a line of more than 1048576 bytes"), std::string::npos) << said_;
}

// How often it begins within its time depends on the machine; it is killed until it answers.
TEST_F(RewardsOf, AProgramThatHangsIsStartedAgain) {
  TempFolder folder;
  const std::string seen = (folder / "seen").string();
  const Json section = {
      {"command", "read a; [ -e '" + seen + "' ] && { echo 3; exec sleep 100; }; touch '" + seen +
                      "'; exec sleep 100"},
      {"timeout", 0.1}};
  Rewards rewards = made(section.dump().c_str());
  const Json row = Json::object();
  int64_t failures = 0;
  RewardResult r = of(rewards, {.row = row, .completion = "x"});
  for (; r.failed; r = of(rewards, {.row = row, .completion = "x"})) ++failures;
  EXPECT_EQ(r.reward, 3);
  EXPECT_GE(failures, 1);
  EXPECT_NE(said_.find("gave no answer within 0.1 s"), std::string::npos) << said_;
}

TEST_F(RewardsOf, AProgramThatAnswersTwiceIsNotBelieved) {
  Rewards rewards = made(R"({"command": "while read -r a; do printf '1\\n0\\n'; done"})");
  const Json row = Json::object();
  for (int i = 0; i < 6; ++i) {
    const RewardResult r = of(rewards, {.row = row, .completion = "x"});
    // The first of each process is as good as any; after it nothing can be told.
    EXPECT_EQ(r.failed, i % 2 == 1) << i;
  }
  EXPECT_NE(said_.find("printed more than one line for an answer"), std::string::npos) << said_;
}

TEST_F(RewardsOf, SectionsThatCannotWorkAreRefused) {
  const auto refusal = [](const char* section) {
    return error_text([&] { config_of(section).check(); });
  };
  EXPECT_EQ(
      refusal("{}"),
      "[reward.functions] nothing gives a reward; name functions (exact_match …), a model or a command");
  EXPECT_EQ(refusal(R"({"functions": ["ended"], "weights": [1, 2]})"),
            "[reward.weights] 2 weights for 1 rewards; give one for each");
  EXPECT_EQ(refusal(R"({"functions": ["ended"], "command": "cat", "weights": [1]})"),
            "[reward.weights] 1 weights for 2 rewards; give one for each");
  EXPECT_EQ(
      refusal(R"({"functions": ["length_band"]})"),
      "[reward.length_max] length_band needs length_max of at least 1 and of at least length_min");
  EXPECT_EQ(
      refusal(R"({"functions": ["length_band"], "length_min": 5, "length_max": 4})"),
      "[reward.length_max] length_band needs length_max of at least 1 and of at least length_min");
  EXPECT_EQ(refusal(R"({"functions": ["format"]})"),
            "[reward.pattern] the function format needs a pattern, and nothing else reads one");
  EXPECT_EQ(refusal(R"({"functions": ["ended"], "pattern": "x"})"),
            "[reward.pattern] the function format needs a pattern, and nothing else reads one");
  EXPECT_NE(refusal(R"({"functions": ["format"], "pattern": "(x"})")
                .find("[reward.pattern] '(x' is not a regular expression: "),
            std::string::npos);
  EXPECT_NE(refusal(R"({"functions": ["exact"]})").find("exact_match"), std::string::npos);
  EXPECT_EQ(
      refusal(R"({"command": "cat", "timeout": 0})"),
      "[reward] timeout is 0 (an integer), expected a number, between 0.001 and 86400. Write timeout = "
      "0.001");
  EXPECT_EQ(refusal(R"({"functions": ["ended"], "timeout": 5})"),
            "[reward.timeout] only a command can take too long; leave the key out");
  EXPECT_EQ(
      refusal(R"({"functions": ["ended"], "model": ["a"], "command": "cat", "weights": [1, 2]})"),
      "[reward.weights] 2 weights for 3 rewards; give one for each");
  EXPECT_EQ(
      refusal(R"({"functions": ["ended", "format"], "pattern": "x", "weights": [0, 0]})"),
      "[reward.weights] every weight is 0, so that nothing is learnt; give one reward another weight");
  EXPECT_EQ(
      refusal(R"({"functions": ["ended", "ended"]})"),
      "[reward.functions] a function is named twice; name it once, with the sum of the weights");
  EXPECT_EQ(
      refusal(R"({"functions": ["ended"], "ngram_size": 2})"),
      "[reward.ngram_size] only the function repetition reads ngram_size; add it to reward.functions, or "
      "leave the key out");
  EXPECT_EQ(
      refusal(R"({"functions": ["ended"], "soft_punish_cache": 2})"),
      "[reward.max_completion_len] only the function soft_overlong reads max_completion_len and "
      "soft_punish_cache; add it to reward.functions, or leave the keys out");
  for (const char* keys : {"", R"(, "max_completion_len": 3, "soft_punish_cache": 4)"})
    EXPECT_EQ(
        refusal((std::string(R"({"functions": ["soft_overlong"])") + keys + "}").c_str()),
        "[reward.max_completion_len] soft_overlong needs max_completion_len of at least 1 and of at "
        "least soft_punish_cache");
  EXPECT_EQ(refusal(R"({"functions": ["exact_match"], "length_max": 5})"),
            "[reward.length_max] only the function length_band reads length_min and length_max");
}

// Each function of the catalogue can be named, and gives a finite number for an answer of anything.
TEST_F(RewardsOf, EveryFunctionOfTheCatalogueTakesEveryAnswer) {
  const auto without_python = no_python();
  for (const RewardFunction& f : reward_functions()) {
    if (f.runs_programs() && without_python) {
      std::cout << f.name << " is left out: " << *without_python << "\n";
      continue;
    }
    Json section = {{"functions", {std::string(f.name)}}};
    if (f.name == "length_band") section["length_max"] = 3;
    if (f.name == "soft_overlong") section["max_completion_len"] = 3;
    if (f.name == "format") section["pattern"] = ".*";
    for (const std::string text :
         {"", " ", "\xff\xfe", "a\0b", "1e999", "--1", ",,,", "1,,2", "..."}) {
      const RewardResult r =
          judged(section.dump().c_str(), text, R"({"answer": "1", "tests": "assert 1"})");
      EXPECT_TRUE(std::isfinite(r.reward)) << f.name << " of " << text;
      EXPECT_EQ(r.parts.at(0).name, f.name);
    }
  }
}

}  // namespace
}  // namespace lathe::testing
