// What judges answers: the comparison with a target, what follows from verdicts, and which scorers there are.
#include <gtest/gtest.h>

#include <set>

#include "eval/score_testing.h"
#include "lathe/eval/score/scorer.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

const std::string kCompared = "target = \"{{a}}\"\nmetrics = [\"exact_match\"]\n";

Json row_of(const std::string& target) { return {{"prompt", "?"}, {"a", target}}; }

// Of one response.
bool right(const std::string& keys, const std::string& target, const std::string& response) {
  return Judging(kCompared + keys, {row_of(target)}).metrics({response}).front() == 1;
}
std::string filtered(const std::string& filter, const std::string& response) {
  Judging judging(kCompared + "filters = [{name = \"f\", " + filter + "}]\n", {row_of("")});
  return judging.score({response}).judged.at(0).texts.at(0);
}

TEST(Comparison, OuterBlanksDoNotCount) {
  EXPECT_TRUE(right("", "42", " 42\n"));
  EXPECT_FALSE(right("", "42", "4 2"));
  EXPECT_FALSE(right("", "Yes", "yes"));
}

TEST(Comparison, WhatNormalizeMatchesGoesAndCase) {
  const std::string keys = "normalize = [\",\", '\\$', '(?s).*#### ', '\\.$']\n";
  EXPECT_TRUE(right(keys, "a\n#### 1,200", "$1200."));
  EXPECT_TRUE(right(keys, "Yes", "yES"));
  EXPECT_FALSE(right(keys, "yes", " yes")) << "blanks count";
  EXPECT_TRUE(right("normalize = ['\\s']\n", "[]", " [ ]\n"));
}

TEST(Comparison, AFilterFindsTheFirstGroupThatMatched) {
  EXPECT_EQ(filtered("regex = '#### (\\-?[0-9\\.\\,]+)'", "a #### -5 #### 6"), "-5");
  EXPECT_EQ(filtered("regex = '(-?[$0-9.,]{2,})|(-?[0-9]+)', which = \"last\"", "is 12 or 7 dogs"),
            "7");
  EXPECT_EQ(filtered("regex = '[0-9]+', which = \"last\"", "3 4 5"), "5");
  EXPECT_EQ(filtered("regex = '[0-9]+'", "none"), "[invalid]");
  EXPECT_EQ(filtered("regex = '(a)?(b)?c'", "c"), "[invalid]") << "no group took part";
  EXPECT_EQ(filtered("regex = 'is (.*)'", "it is  so \nis not"), "so");
  EXPECT_EQ(filtered("regex = 'a$'", "a\na"), "a");
}

TEST(Comparison, SeveralFiltersHaveNames) {
  const std::string keys =
      "target = \"{{a}}\"\nmetrics = [\"exact_match\", \"pass@2\"]\nfilters = [{name = \"strict\", regex = "
      "'#### (\\d+)'}, {name = \"loose\", regex = '\\d+', which = \"last\"}]\n";
  Judging judging(keys, {row_of("7")});
  EXPECT_EQ(
      judging.metrics({"it is 7", "#### 7"}).dump(),
      R"({"exact_match@strict":0,"exact_match@loose":1,"pass@2@strict":1.0,"pass@2@loose":1.0})");
}

TEST(PassMetrics, FollowFromVerdicts) {
  Judging judging(
      "target = \"a\"\nmetrics = [\"exact_match\", \"majority\", \"pass@1\", \"pass@2\"]\n",
      {row_of("")});
  const Json all = judging.metrics({"b", "a", "a", "c"});
  EXPECT_EQ(all["exact_match"], 0);
  EXPECT_EQ(all["majority"], 1);
  EXPECT_DOUBLE_EQ(all["pass@1"], 0.5);
  EXPECT_DOUBLE_EQ(all["pass@2"], 5.0 / 6);
  EXPECT_EQ(judging.metrics({"b", "a"})["majority"], 0) << "the first of equally frequent ones";
  EXPECT_EQ(judging.metrics({"a", "b"})["majority"], 1);
  EXPECT_EQ(
      error_text([&] { judging.metrics({"a"}); }),
      "[t.toml] pass@2 needs 2 answers to each item, and there are 1; set samples = 2 or more");
}

TEST(PassMetrics, WhatNoFilterFoundHasNoVote) {
  Judging judging(
      "target = \"1\"\nmetrics = [\"majority\"]\nfilters = [{name = \"f\", regex = '\\d'}]\n",
      {row_of("")});
  EXPECT_EQ(judging.metrics({"x", "y", "1"})["majority"], 1);
  EXPECT_EQ(judging.metrics({"x", "y"})["majority"], 0);
}

// Keys with which a task of each scorer is whole.
std::string keys_of(const ScorerRule& rule) {
  std::string keys = "scorer = \"" + std::string(rule.name) + "\"\n";
  if (rule.runs_programs) keys += "program = \"{{response}}\"\n";
  return keys;
}
std::string toml_of(const ScorerRule& rule, const std::string& metric) {
  const std::string name = metric == "pass@K" ? "pass@1" : metric;
  std::string text = "metrics = [\"" + name + "\"]\n";
  if (rule.asks_judge && metric == "rating")
    text += "judge = {prompt = \"{{response}}\", rating = \"[0-9]\", lowest = 1, highest = 9}\n";
  else if (rule.asks_judge)
    text +=
        "judge = {prompt = \"{{first}}{{second}}\", baseline = \"b\", first = \"A\", second = "
        "\"B\"}\n";
  return text;
}

TEST(Scorers, EachSaysWhatItIsAndMeasuresWhatItSays) {
  FakeSource judge([](const std::string&) { return "7"; });
  std::set<std::string_view> names;
  for (const ScorerRule& rule : scorers()) {
    EXPECT_TRUE(names.insert(rule.name).second) << rule.name;
    EXPECT_FALSE(rule.summary.empty() || rule.source.empty()) << rule.name;
    EXPECT_FALSE(rule.metrics.empty()) << rule.name;
    for (const std::string& metric : rule.metrics)
      EXPECT_EQ(
          error_text([&] { Judging(keys_of(rule) + toml_of(rule, metric), {row_of("")}, &judge); }),
          "no error")
          << rule.name;
    EXPECT_NE(
        error_text([&] {
          Judging(keys_of(rule) + toml_of(rule, "majority"), {row_of("")});
        }).find(fmt::format("[t.toml: metrics of scorer '{}'] unknown name 'majority'", rule.name)),
        std::string::npos)
        << rule.name;
    for (const char* key : {"normalize = [\"a\"]\n", "filters = [{name = \"f\", regex = \"a\"}]\n"})
      EXPECT_NE(error_text([&] {
                  Judging(keys_of(rule) + toml_of(rule, rule.metrics[0]) + key, {row_of("")});
                }).find("is of the comparison with the target, and scorer '"),
                std::string::npos)
          << rule.name << key;
  }
}

TEST(Scorers, ATaskThatCannotBeJudgedIsRefused) {
  const auto refused = [](const std::string& keys) { return refusal_of(keys, row_of("")); };
  EXPECT_EQ(
      refused("metrics = [\"exact_match\"]\n"),
      "[t.toml] has no target, with which answers could be compared; set target, or a scorer");
  EXPECT_EQ(
      refused(kCompared + "scorer = \"jury\"\n"),
      "[t.toml] scorer is \"jury\" (a string), expected one of 'ifeval', 'tool_call', 'python', "
      "'judge'. Write scorer = \"ifeval\"");
  EXPECT_NE(refused(kCompared + "scorer = \"ifevl\"\n").find("ifeval"), std::string::npos);
  EXPECT_NE(refused("target = \"a\"\nmetrics = [\"prompt_strict\"]\n").find("prompt_strict"),
            std::string::npos);
  EXPECT_EQ(
      refused("scorer = \"python\"\nmetrics = [\"pass@1\"]\n"),
      "[t.toml] program is missing, which scorer 'python' needs: the template of what is run, "
      "with the answer as {{response}}");
  EXPECT_EQ(refused(kCompared + "program = \"{{response}}\"\n"),
            "[t.toml] program means something to scorer = \"python\" alone; set that, or leave "
            "program out");
  EXPECT_EQ(
      refused(kCompared + "limits = {seconds = 3}\n"),
      "[t.toml] limits means something to scorer = \"python\" alone; set that, or leave limits "
      "out");
  for (const char* key :
       {"scorer = \"python\"", "program = \"{{response}}\"", "normalize = [\"a\"]",
        "limits = {seconds = 1}", "think_end = \"</think>\""}) {
    const std::string text = error_text([&] {
      parse_task_config(
          "name = \"t\"\nkind = \"perplexity\"\ndata = \"d.jsonl\"\ntarget = "
          "\"{{a}}\"\nmetrics = [\"bits_per_byte\"]\n" +
              std::string(key) + "\n",
          "t.toml", ".");
    });
    EXPECT_NE(text.find("means nothing to a task of kind 'perplexity'"), std::string::npos) << text;
  }
  for (const char* memory : {"512", "M", "", "8M", "1.5G", "9999G", "512MB"})
    EXPECT_EQ(
        refused("scorer = \"python\"\nprogram = \"{{response}}\"\nmetrics = [\"pass@1\"]\n"
                "limits = {memory = \"" +
                std::string(memory) + "\"}\n"),
        fmt::format("[t.toml] limits.memory is '{}', expected a number of MiB or GiB, as 512M or "
                    "2G, from 32M to 1024G",
                    memory));
  const std::string broken = refused(kCompared + "normalize = [\"(a\"]\n");
  EXPECT_NE(broken.find("[t.toml]"), std::string::npos) << broken;
  EXPECT_NE(broken.find("normalize: '(a'"), std::string::npos) << broken;
}

}  // namespace
}  // namespace lathe::testing
