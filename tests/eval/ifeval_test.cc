// Instructions that a program can check, beside the verdicts of lm-evaluation-harness (tools/make_ifeval_goldens.py).
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>

#include "eval/score_testing.h"
#include "io/shared_data.h"
#include "lathe/eval/score/ifeval/instruction.h"
#include "lathe/eval/score/ifeval/words.h"
#include "paths.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kKeys =
    "scorer = \"ifeval\"\nmetrics = [\"prompt_strict\", \"prompt_loose\", \"instruction_strict\", "
    "\"instruction_loose\"]\n";

Json row_of_all(const std::vector<std::string>& names, const std::vector<Json>& kwargs) {
  return {{"prompt", "Say it."}, {"instruction_id_list", names}, {"kwargs", kwargs}};
}
Json row_of(const std::string& name, const Json& kwargs) { return row_of_all({name}, {kwargs}); }

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> all;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    all.push_back(Json::parse(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return all;
}

TEST(IfEval, JudgesAsTheHarness) {
  std::map<std::string, std::set<bool>> seen;
  size_t answers = 0;
  for (const Json& golden : lines_of(content_of(tests_folder() / "eval/goldens/ifeval.jsonl"))) {
    const auto name = golden["instruction"].get<std::string>();
    Judging judging(kKeys, {row_of(name, golden["kwargs"])});
    for (const Json& answer : golden["answers"]) {
      const Json metrics = judging.metrics({answer[0].get<std::string>()});
      EXPECT_EQ(metrics["instruction_strict"][0], answer[1])
          << name << " " << golden["kwargs"] << " " << answer[0];
      EXPECT_EQ(metrics["instruction_loose"][0], answer[2])
          << "loosely: " << name << " " << golden["kwargs"] << " " << answer[0];
      seen[name].insert(answer[1].get<bool>());
      ++answers;
    }
  }
  EXPECT_GT(answers, 1000U);
  for (const InstructionRule& rule : instructions()) {
    if (rule.name == "length_constraints:number_sentences") continue;  // needs data of NLTK's
    EXPECT_EQ(seen[std::string(rule.name)].size(), 2U) << rule.name << " is followed, and is not";
  }
}

TEST(IfEval, CountsSentences) {
  const std::pair<int64_t, const char*> texts[] = {
      {0, " \n"},
      {1, "No end"},
      {2, "One. Two"},
      {3, "Is it? It is! Good."},
      {2, "Dr. Smith met Mr. J. R. Brown at 3.5 p.m. yesterday. He left."},
      {2, "He lives in the U.S. The house is big."},
      {1, "Use fruit, e.g. apples, pears etc. and so on."},
      {2, "\"Stop!\" (It was late.)"},
      {1, "Wait... what"},
      {2, "Wait... What"},
      {2, "A first line.\n\nA second line."},
      {4, "1. The first. 2. The second."},
  };
  for (const auto& [count, text] : texts) EXPECT_EQ(count_sentences(text), count) << text;
  Judging few(kKeys, {row_of("length_constraints:number_sentences",
                             {{"num_sentences", 3}, {"relation", "less than"}})});
  EXPECT_EQ(few.metrics({"One. Two."})["prompt_strict"], 1);
  EXPECT_EQ(few.metrics({"One. Two. Three."})["prompt_strict"], 0);
}

TEST(IfEval, CountsWords) {
  EXPECT_EQ(count_words(""), 0);
  EXPECT_EQ(count_words("it's a_b, 3.14"), 5);
  EXPECT_EQ(count_capital_words("DON'T STOP-NOW (ok) A"), 4);
}

TEST(IfEval, EachInstructionHasItsVerdict) {
  Judging judging(kKeys, {row_of_all({"punctuation:no_comma", "detectable_format:title"},
                                     {Json::object(), Json::object()})});
  const Score score = judging.score({"Sure, here it is:\n<<Title>>"});
  EXPECT_EQ(score.metrics.dump(),
            R"({"prompt_strict":0,"prompt_loose":1,"instruction_strict":[false,true],)"
            R"("instruction_loose":[true,true]})");
  EXPECT_EQ(score.reason, "not followed: punctuation:no_comma");
  EXPECT_EQ(judging.score({"<<Title>>"}).reason, "");
  const Json blank = judging.metrics({" \n"});
  EXPECT_EQ(blank["prompt_loose"], 0) << "an empty response follows nothing";
  EXPECT_EQ(judging.metrics({"<<T\xff>>"})["prompt_strict"], 1) << "bytes that are no UTF-8";
}

TEST(IfEval, ATextThatSaysTooLittleMayBeInItsLanguage) {
  const auto follows = [](const char* language, const char* text) {
    Judging judging(kKeys, {row_of("language:response_language", {{"language", language}})});
    return judging.metrics({text})["prompt_strict"] == 1;
  };
  EXPECT_TRUE(follows("it", "Ciao!"));
  EXPECT_TRUE(follows("de", "12 + 30 = 42"));
  EXPECT_FALSE(follows("ru", "Ciao!"));
  EXPECT_FALSE(follows("ru", "{(a) [b] = *; // + -}"));
  EXPECT_TRUE(follows("zh-cn", "天地玄黃"));
}

TEST(IfEval, RefusesWhatItCannotCheck) {
  const auto refused = [](const char* name, const Json& kwargs) {
    return refusal_of(kKeys, row_of(name, kwargs));
  };
  const auto says = [&](const char* name, const Json& kwargs, const std::string& message) {
    const std::string text = refused(name, kwargs);
    EXPECT_NE(text.find(message), std::string::npos) << text;
  };
  says("punctuation:no_coma", Json::object(), "[rows.jsonl:1: instruction_id_list]");
  says("punctuation:no_coma", Json::object(), "'punctuation:no_comma'");
  EXPECT_EQ(
      refused("keywords:frequency",
              {{"keyword", "a"}, {"frequency", nullptr}, {"relation", "at least"}}),
      "[rows.jsonl:1] kwargs of 'keywords:frequency': frequency is absent, expected a number");
  EXPECT_EQ(
      refused("keywords:frequency", {{"keyword", "a"}, {"frequency", 2}, {"relation", "at most"}}),
      "[rows.jsonl:1] kwargs of 'keywords:frequency': relation is \"at most\", expected 'less "
      "than' or 'at least'");
  EXPECT_EQ(
      refused("keywords:existence", {{"keywords", "cat"}}),
      "[rows.jsonl:1] kwargs of 'keywords:existence': keywords is \"cat\", expected a list of "
      "texts");
  EXPECT_EQ(refused("punctuation:no_comma", {{"num_words", 3}}),
            "[rows.jsonl:1] kwargs of 'punctuation:no_comma' has num_words, which means nothing to "
            "it; it takes none");
  says("keywords:existence", {{"keywords", Json::array({"(a"})}},
       "keywords is [\"(a\"], expected a regular expression: ");
  says("language:response_language", {{"language", "xx"}},
       "language is \"xx\", expected one that can be told apart: ar, bg, bn");
  says("length_constraints:nth_paragraph_first_word",
       {{"num_paragraphs", 2}, {"nth_paragraph", 3}, {"first_word", "a"}},
       "nth_paragraph is 3, expected one of num_paragraphs, from 1");
  EXPECT_EQ(
      refusal_of(kKeys, row_of_all({"punctuation:no_comma"}, {Json::object(), Json::object()})),
      "[rows.jsonl:1] kwargs has 2 entries for 1 instructions; it needs one for each");
  EXPECT_EQ(refusal_of(kKeys, {{"prompt", "p"}}),
            "[rows.jsonl:1] instruction_id_list is absent, expected a list, as IFEval's rows have "
            "it");
  EXPECT_EQ(refusal_of(std::string(kKeys) + "samples = 2\n", {{"prompt", "p"}}),
            "[t.toml] samples is 2, but scorer 'ifeval' judges one answer to each item; leave "
            "samples out");
}

// What makes expressions and scanners go back and forth.
TEST(IfEval, HostileAnswersAreJudgedSoon) {
  const Json arguments = Json::parse(R"({"keywords": ["x"], "keyword": "x", "frequency": 1,
      "relation": "at least", "forbidden_words": ["x"], "letter": "x", "let_frequency": 1,
      "let_relation": "at least", "language": "it", "num_sentences": 1, "num_paragraphs": 1,
      "num_words": 1, "nth_paragraph": 1, "first_word": "x", "num_placeholders": 1,
      "postscript_marker": "P.S.", "num_bullets": 1, "num_highlights": 1, "section_spliter": "x",
      "num_sections": 1, "prompt_to_repeat": "x", "end_phrase": "x", "capital_frequency": 1,
      "capital_relation": "at least"})");
  for (const InstructionRule& rule : instructions()) {
    Json kwargs = Json::object();
    for (const std::string& key : rule.arguments) kwargs[key] = arguments.at(key);
    Judging judging(kKeys, {row_of(std::string(rule.name), kwargs)});
    for (const char* part : {" ",  "\n", "\n ", "[",   "*",  "* ", "<",   "<<a",     "-", "'",
                             "\"", "A",  ".",   "***", "p.", "x ", "[1,", "{\"a\":", "é", "\xff"}) {
      std::string text = "z";
      while (text.size() < 100000) text += part;
      text += "\nx]>*-S.";
      const auto begin = std::chrono::steady_clock::now();
      judging.metrics({text});
      const auto seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      EXPECT_LT(seconds, 5) << rule.name << " " << part;
    }
  }
}

TEST(IfEval, EveryRowOfThePublicSetCanBeJudged) {
  const auto file = shared_data() / "eval/ifeval/input_data.jsonl.zst";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not there";
  std::set<std::string> kinds;
  const std::vector<Json> rows = lines_of(unpacked(file));
  EXPECT_EQ(rows.size(), 541U);
  Judging judging(kKeys, rows);
  const std::vector<Score> scores =
      judging.scores(std::vector<std::vector<std::string>>(rows.size(), {"An answer, of sorts."}));
  int64_t followed = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const Json& name : rows[i]["instruction_id_list"]) kinds.insert(name.get<std::string>());
    followed += scores[i].metrics["prompt_strict"].get<int64_t>();
  }
  EXPECT_EQ(kinds.size(), instructions().size());
  EXPECT_GT(followed, 0);
  EXPECT_LT(followed, 200);
}

}  // namespace
}  // namespace lathe::testing
