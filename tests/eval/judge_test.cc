// A judge that says what a test wants: what it is asked, how its verdicts are read, and what a run keeps of them.
#include "lathe/eval/score/judge.h"

#include <gtest/gtest.h>

#include <fstream>

#include "eval/score_testing.h"
#include "lathe/eval/ask/cached_source.h"
#include "lathe/eval/ask/chat_source.h"
#include "lathe/eval/builtin/builtin_tasks.h"
#include "lathe/eval/run/eval_run.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

const std::string kRated =
    "scorer = \"judge\"\nmetrics = [\"rating\"]\n[judge]\nprompt = \"Q {{request}} A {{response}}\"\n"
    "rating = '\\[\\[(.*?)\\]\\]'\nlowest = 1\nhighest = 10\n";
const std::string kCompared =
    "scorer = \"judge\"\nmetrics = [\"win_rate\", \"consistency\"]\n[judge]\nprompt = \"1 {{first}} 2 "
    "{{second}}\"\nbaseline = \"{{b}}\"\nfirst = '\\[\\[A\\]\\]'\nsecond = '\\[\\[B\\]\\]'\ntie = "
    "'\\[\\[C\\]\\]'\n";

Json row_of(const std::string& baseline) { return {{"prompt", "why?"}, {"b", baseline}}; }

// The metrics of an answer of which the judge writes this.
Json rated(const std::string& text, const std::string& keys = kRated) {
  FakeSource judge([&](const std::string&) { return text; });
  return Judging(keys, {row_of("")}, &judge).metrics({"x"});
}
const Json kNoVerdict = {{"rating", Json::array()}, {"no_verdict", 1}};

TEST(JudgeRating, IsTheNumberThatTheExpressionFinds) {
  EXPECT_EQ(rated("good. [[7]]"), Json({{"rating", 7.0}, {"no_verdict", 0}}));
  EXPECT_EQ(rated("[[ 7.5 ]] [[3]]")["rating"], 7.5);
  EXPECT_EQ(rated("[[7]] [[3]]", kRated + "which = \"last\"\n")["rating"], 3.0);
  EXPECT_EQ(rated("[[1]]")["rating"], 1.0);
  EXPECT_EQ(rated("[[10]]")["rating"], 10.0);
}

TEST(JudgeRating, AnythingElseIsNoVerdict) {
  for (const char* text : {"", "7", "[[]]", "[[seven]]", "[[0]]", "[[10.01]]", "[[-3]]", "[[nan]]",
                           "[[inf]]", "[[1e999]]", "\xff"})
    EXPECT_EQ(rated(text), kNoVerdict) << text;
  FakeSource judge([&](const EvalItem&, size_t) {
    EvalAnswer answer;
    answer.responses = {"[[7]]"};
    answer.truncated = true;
    return answer;
  });
  const Score score = Judging(kRated, {row_of("")}, &judge).score({"x"});
  EXPECT_EQ(score.metrics, kNoVerdict) << "the judge did not see the whole question";
  EXPECT_EQ(score.reason, "the judge gave no verdict");
  EXPECT_EQ(score.judgements[0]["truncated"], true);
}

// The first turn is asked; the judge sees it with the answer and, where there are some, notes on a right one.
TEST(JudgeRating, OfMtBenchIsTheLastOneInBrackets) {
  const Json plain = {
      {"question_id", 81}, {"category", "writing"}, {"turns", {"Why?", "And how?"}}};
  Json noted = plain;
  noted["reference"] = {"Because of {{ it }}.", "So."};
  TempFolder folder;
  folder.write("mt_bench/question.jsonl", plain.dump() + "\n" + noted.dump() + "\n");
  const EvalTask task(read_builtin_task("mt_bench", folder.path()), 0, Rng(0));
  FakeSource judge([](const std::string&) { return "Not a [[2]], since … [[7.5]]"; });
  const auto scorer = make_scorer(task, {.judge = &judge});
  const std::vector<std::string> responses = {"I {{ 7 }} know."};
  for (int64_t i = 0; i < 2; ++i) {
    const EvalItem item = task.item(i);
    EXPECT_EQ(item.prompts, std::vector<std::string>{"Why?"});
    const Answered answered{.item = item,
                            .row = task.rows().rows[static_cast<size_t>(i)].fields,
                            .responses = responses};
    scorer->score(
        std::span(&answered, 1),
        [](size_t, const Score& score) { EXPECT_EQ(score.metrics["rating"], 7.5); }, [] {});
    const std::string& asked = judge.asked.at(static_cast<size_t>(i)).prompts[0];
    EXPECT_NE(asked.find("<question>\nWhy?\n</question>"), std::string::npos) << asked;
    EXPECT_NE(asked.find("<answer>\nI {{ 7 }} know.\n</answer>"), std::string::npos) << asked;
    EXPECT_EQ(asked.find("And how?"), std::string::npos);
    EXPECT_EQ(asked.find("Because of {{ it }}.") != std::string::npos, i == 1) << asked;
    EXPECT_EQ(asked.find("<notes>") != std::string::npos, i == 1);
  }
}

TEST(JudgeRating, OfSeveralAnswersIsAList) {
  FakeSource judge([](const std::string& prompt) { return "[[" + prompt.substr(9) + "]]"; });
  Judging judging("samples = 3\ntemperature = 1.0\n" + kRated, {row_of("")}, &judge);
  EXPECT_EQ(judging.metrics({"4", "none", "8"}),
            Json({{"rating", {4.0, 8.0}}, {"no_verdict", {0, 1, 0}}}));
}

TEST(Judge, IsAskedAboutAllAnswersAtOnce) {
  FakeSource judge([](const std::string&) { return "[[5]]"; });
  Judging judging(kRated + "system = \"You grade {{b}}.\"\nmax_tokens = 77\n",
                  {row_of("x"), row_of("y")}, &judge);
  const std::vector<Score> scores = judging.scores({{"one"}, {"two"}});
  ASSERT_EQ(judge.tasks.size(), 1u);
  EXPECT_EQ(judge.tasks[0].max_tokens, 77);
  EXPECT_EQ(judge.tasks[0].temperature, 0);
  EXPECT_EQ(judge.tasks[0].name, "t: judge");
  ASSERT_EQ(judge.asked.size(), 2u);
  EXPECT_EQ(judge.asked[1].prompts[0], "Q why? A two");
  EXPECT_EQ(judge.asked[1].system, "You grade y.");
  EXPECT_EQ(scores[1].judgements,
            Json::parse(R"([{"prompt": "Q why? A two", "text": "[[5]]", "verdict": 5.0}])"));
}

// What a model wrote is the value of a variable, whatever it looks like.
TEST(Judge, AnAnswerIsNoTemplate) {
  FakeSource judge([](const std::string&) { return "[[5]]"; });
  const std::string hostile = "{{ 7*7 }}{% raise x %}{# [[10]] \xff";
  Judging(kRated, {row_of("")}, &judge).score({hostile});
  EXPECT_EQ(judge.asked[0].prompts[0], "Q why? A {{ 7*7 }}{% raise x %}{# [[10]] \uFFFD");
  FakeSource comparing([](const std::string&) { return "[[A]]"; });
  Judging(kCompared, {row_of("{{ 7*7 }}")}, &comparing).score({"{{ b }}"});
  EXPECT_EQ(comparing.asked[0].prompts[0], "1 {{ b }} 2 {{ 7*7 }}");
}

TEST(Judge, ItsNamesWinOverTheRowsFields) {
  FakeSource judge([](const std::string&) { return "[[A]]"; });
  Json row = {{"prompt", "why?"}, {"response", "of the row"}, {"first", "1st"}, {"request", "r"}};
  std::string keys = kCompared;
  keys.replace(keys.find("{{b}}"), 5, "{{response}}, {{first}}");
  Judging(keys, {row}, &judge).score({"mine"});
  EXPECT_EQ(judge.asked[0].prompts[0], "1 mine 2 of the row, 1st");
  EXPECT_EQ(judge.asked[1].prompts[0], "1 of the row, 1st 2 mine");
}

// Of an answer "mine" beside the baseline "other".
Json compared(const std::function<std::string(const std::string& prompt)>& says,
              const std::string& keys = kCompared) {
  FakeSource judge(says);
  return Judging(keys, {row_of("other")}, &judge).metrics({"mine"});
}

TEST(JudgeComparison, AWinIsOneInBothOrders) {
  const auto prefers = [](const char* text) {
    return [=](const std::string& prompt) {
      return prompt.starts_with(std::string("1 ") + text) ? "[[A]]" : "[[B]]";
    };
  };
  EXPECT_EQ(compared(prefers("mine")),
            Json({{"win_rate", 1.0}, {"consistency", 1}, {"no_verdict", 0}}));
  EXPECT_EQ(compared(prefers("other")),
            Json({{"win_rate", 0.0}, {"consistency", 1}, {"no_verdict", 0}}));
  EXPECT_EQ(compared([](const std::string&) { return "[[C]]"; }),
            Json({{"win_rate", 0.5}, {"consistency", 1}, {"no_verdict", 0}}));
}

TEST(JudgeComparison, AJudgeThatGoesByThePlaceIsATieAndSeen) {
  for (const char* always : {"[[A]]", "[[B]]"})
    EXPECT_EQ(compared([=](const std::string&) { return always; }),
              Json({{"win_rate", 0.5}, {"consistency", 0}, {"no_verdict", 0}}));
  // A win and a tie.
  EXPECT_EQ(compared([](const std::string& prompt) {
              return prompt.starts_with("1 mine") ? "[[A]]" : "[[C]]";
            }),
            Json({{"win_rate", 0.5}, {"consistency", 0}, {"no_verdict", 0}}));
}

TEST(JudgeComparison, AVerdictInOneOrderIsNone) {
  const Json none = {
      {"win_rate", Json::array()}, {"consistency", Json::array()}, {"no_verdict", 1}};
  EXPECT_EQ(compared([](const std::string& prompt) {
              return prompt.starts_with("1 mine") ? "[[A]]" : "both are good";
            }),
            none);
  std::string without_tie = kCompared.substr(0, kCompared.find("tie = "));
  EXPECT_EQ(compared([](const std::string&) { return "[[C]]"; }, without_tie), none);
}

TEST(JudgeComparison, TheFirstOrLastPlaceCounts) {
  const auto says = [](const std::string& prompt) {
    return prompt.starts_with("1 mine") ? "not [[B]] but [[A]]" : "not [[A]] but [[B]]";
  };
  EXPECT_EQ(compared(says)["win_rate"], 0.0);
  EXPECT_EQ(compared(says, kCompared + "which = \"last\"\n")["win_rate"], 1.0);
  std::string same = kCompared;
  same.replace(same.find("[B"), 2, "[[AB]");
  same.replace(same.find("second = "), std::string::npos, "second = '\\[\\[[AB]\\]\\]'\n");
  EXPECT_EQ(compared([](const std::string&) { return "[[A]]"; }, same)["no_verdict"], 1)
      << "two expressions match at one place";
}

// The others can be asked again.
TEST(Judge, WhatItSaidBeforeItFailedIsKept) {
  FakeSource judge([](const EvalItem&, size_t number) {
    require(number < 3, ErrorKind::kIo, "judge", "is gone");
    EvalAnswer answer;
    answer.responses = {number == 0 ? "[[A]]" : "[[B]]"};
    return answer;
  });
  TempFolder folder;
  folder.write("rows.jsonl", row_of("o").dump() + "\n" + row_of("p").dump() + "\n");
  const EvalTask task(parse_task_config("name = \"t\"\nkind = \"generate\"\ndata = \"rows.jsonl\"\n"
                                        "prompt = \"{{prompt}}\"\n" +
                                            kCompared,
                                        "t.toml", folder.path()),
                      0, Rng(0));
  const auto scorer = make_scorer(task, {.judge = &judge});
  const EvalItem items[] = {task.item(0), task.item(1)};
  const std::vector<std::string> response = {"x"};
  std::vector<Answered> answered;
  for (const EvalItem& item : items)
    answered.push_back({.item = item,
                        .row = task.rows().rows[static_cast<size_t>(item.id)].fields,
                        .responses = response});
  std::vector<size_t> taken;
  const auto take = [&](size_t item, const Score&) { taken.push_back(item); };
  EXPECT_EQ(error_text([&] { scorer->score(answered, take, [] {}); }), "[judge] is gone");
  EXPECT_EQ(taken, std::vector<size_t>{0});
}

TEST(Judge, ATaskThatSaysTooLittleOrTooMuchIsRefused) {
  const auto refused = [](std::string keys, const std::string& was, const std::string& is) {
    FakeSource judge([](const std::string&) { return ""; });
    keys.replace(keys.find(was), was.size(), is);
    return error_text([&] { Judging(keys, {row_of("")}, &judge); });
  };
  EXPECT_EQ(refused(kRated, "lowest = 1\n", ""),
            "[t.toml: judge] lowest is missing, which 'rating' needs");
  EXPECT_EQ(refused(kRated, "lowest = 1\n", "lowest = 10\n"),
            "[t.toml: judge] lowest is 10 and highest 10, expected the lower and the higher end of "
            "the ratings");
  EXPECT_EQ(refused(kRated, "highest", "tie = \"x\"\nhighest"),
            "[t.toml: judge] tie means nothing with 'rating'; leave it out");
  EXPECT_EQ(refused(kCompared, "tie", "lowest = 1\ntie"),
            "[t.toml: judge] lowest means nothing with 'baseline'; leave it out");
  EXPECT_EQ(refused(kCompared, "second = '\\[\\[B\\]\\]'\n", ""),
            "[t.toml: judge] second is missing, which 'baseline' needs");
  const std::string both = refused(kRated, "highest", "baseline = \"b\"\nhighest");
  EXPECT_EQ(both.find("[t.toml: judge] has both 'rating' and 'baseline'; it takes"), 0u) << both;
  const std::string neither = refused(kRated, "rating = '\\[\\[(.*?)\\]\\]'\n", "");
  EXPECT_EQ(neither.find("[t.toml: judge] has neither"), 0u) << neither;
  EXPECT_EQ(refused(kRated, "{{response}}", "{{my_response}} {{x.response}}"),
            "[t.toml: judge] prompt has no {{ response }}, so that the judge would not see what it "
            "judges");
  EXPECT_NE(refused(kCompared, "{{second}}", "").find("no {{ second }}"), std::string::npos);
  EXPECT_EQ(refused(kRated, "[\"rating\"]", "[\"win_rate\"]"),
            "[t.toml] metrics has 'win_rate', which a judge with 'rating' does not give; name "
            "rating");
  EXPECT_NE(refused(kCompared, "\"win_rate\"", "\"rating\"").find("name win_rate, consistency"),
            std::string::npos);
  const std::string broken = refused(kRated, "(.*?)", "(");
  EXPECT_EQ(broken.find("[t.toml] [regex] judge.rating: "), 0u) << broken;
  EXPECT_EQ(refusal_of("target = \"x\"\nmetrics = [\"exact_match\"]\njudge = {prompt = \"\"}\n",
                       row_of("")),
            "[t.toml] judge means something to scorer = \"judge\" alone; set that, or leave judge "
            "out");
  EXPECT_EQ(
      refusal_of("scorer = \"judge\"\nmetrics = [\"rating\"]\n", row_of("")),
      "[t.toml] has no table [judge], which scorer 'judge' needs: what the judge is asked, and "
      "how its verdict is read");
  EXPECT_EQ(refusal_of(kRated, row_of("")),
            "[t.toml] asks a judge about answers, and there is none");
}

// A run with a judge: items are written when they are answered, and again when they are judged.
class JudgedRun : public ::testing::Test {
 protected:
  JudgedRun() {
    std::string rows;
    for (int i = 0; i < 4; ++i)
      rows += Json{{"prompt", std::to_string(i)}, {"b", "o"}}.dump() + "\n";
    folder_.write("rows.jsonl", rows);
  }
  std::vector<AskedTask> tasks(const std::string& keys) const {
    std::vector<AskedTask> all;
    all.push_back(ask_of({parse_task_config("name = \"t\"\nkind = \"generate\"\ndata = "
                                            "\"rows.jsonl\"\nprompt = \"{{prompt}}\"\n" +
                                                keys,
                                            "t.toml", folder_.path()),
                          0, Rng(0)},
                         std::nullopt));
    return all;
  }
  // The lines of the file.
  std::vector<Json> lines() const {
    std::vector<Json> all;
    std::ifstream in(folder_ / "items.jsonl");
    for (std::string line; std::getline(in, line);) all.push_back(Json::parse(line));
    return all;
  }
  int64_t run(const std::vector<AskedTask>& tasks, FakeSource& model, FakeSource& judge) {
    ItemFile file(folder_ / "items.jsonl");
    double last = 0;
    const int64_t computed = answer_all(tasks, {model, &judge}, file, [&](const EvalProgress& at) {
      EXPECT_GE(at.done, last);
      last = at.done;
    });
    EXPECT_EQ(last, 4);
    file.sort(std::vector<std::string>{"t"});
    results_ = results_of(tasks, file);
    return computed;
  }

  TempFolder folder_;
  Json results_;
};

TEST_F(JudgedRun, NothingThatIsFinishedIsAskedAgain) {
  const auto asked = tasks(kRated);
  FakeSource model([](const std::string& prompt) { return "re " + prompt; });
  FakeSource failing([](const EvalItem& item, size_t) {
    require(item.id < 2, ErrorKind::kIo, "judge", "is gone");
    EvalAnswer answer;
    answer.responses = {fmt::format("[[{}]]", item.id + 1)};
    return answer;
  });
  EXPECT_EQ(error_text([&] { run(asked, model, failing); }), "[judge] is gone");
  EXPECT_EQ(model.asked.size(), 4u);
  ASSERT_EQ(lines().size(), 6u) << "all are answered, and two of them judged";
  EXPECT_FALSE(lines()[3].contains("metrics"));
  EXPECT_EQ(lines()[5]["metrics"]["rating"], 2.0);

  FakeSource again([](const std::string&) { return "no words"; });
  FakeSource judge([](const std::string&) { return "none"; });
  EXPECT_EQ(run(asked, again, judge), 2);
  EXPECT_TRUE(again.asked.empty());
  ASSERT_EQ(judge.asked.size(), 2u);
  EXPECT_EQ(judge.asked[0].prompts[0], "Q 2 A re 2");
  EXPECT_EQ(judge.asked[0].place, (folder_ / "rows.jsonl").string() + ":3");
  ASSERT_EQ(lines().size(), 4u);
  EXPECT_EQ(lines()[2]["metrics"], kNoVerdict);
  // Those without a verdict are counted, and no part of the mean.
  const Json metrics = results_["tasks"]["t"]["metrics"];
  EXPECT_EQ(metrics["rating"]["value"], 1.5);
  EXPECT_NEAR(metrics["rating"]["stderr"].get<double>(), 0.5, 1e-12);
  EXPECT_EQ(metrics["no_verdict"]["value"], 0.5);
  EXPECT_EQ(run(asked, again, judge), 0);
}

TEST_F(JudgedRun, ARowThatCannotBeJudgedEndsItBeforeItBegins) {
  std::string keys = kRated;
  keys.replace(keys.find("{{request}}"), 11, "{{reqest}}");
  FakeSource model([](const std::string&) { return "x"; });
  FakeSource judge([](const std::string&) { return "[[1]]"; });
  const std::string error = error_text([&] { run(tasks(keys), model, judge); });
  EXPECT_NE(error.find("rows.jsonl:1] judge.prompt: "), std::string::npos) << error;
  EXPECT_NE(error.find("reqest"), std::string::npos) << error;
  EXPECT_TRUE(model.asked.empty());
}

TEST_F(JudgedRun, AMetricOfWhichNoItemHasANumberIsLeftOut) {
  FakeSource model([](const std::string&) { return "x"; });
  FakeSource judge([](const std::string&) { return "?"; });
  EXPECT_EQ(run(tasks(kCompared), model, judge), 4);
  const Json metrics = results_["tasks"]["t"]["metrics"];
  EXPECT_EQ(metrics.size(), 1u) << metrics;
  EXPECT_EQ(metrics["no_verdict"]["value"], 1.0);
}

TEST_F(JudgedRun, ThoughtsAreNotJudged) {
  FakeSource model([](const std::string&) { return "hm </think> yes"; });
  FakeSource judge([](const std::string&) { return "[[3]]"; });
  run(tasks("think_end = \"</think>\"\n" + kRated), model, judge);
  EXPECT_EQ(judge.asked[0].prompts[0], "Q 0 A yes");
}

TEST_F(JudgedRun, ACacheKnowsAQuestionByItsSystemToo) {
  int asked = 0;
  CachedSource cached(std::make_unique<FakeSource>([&](const std::string&) {
                        ++asked;
                        return std::string("x");
                      }),
                      "whom", folder_ / "cache");
  const auto all = tasks(kRated);
  EvalItem item = all[0].items[0];
  const auto ask = [&] {
    cached.ask(all[0].task.config(), std::span(&item, 1), [](std::span<NumberedAnswer>) {});
  };
  ask();
  ask();
  EXPECT_EQ(asked, 1);
  item.system = "be strict";
  ask();
  ask();
  EXPECT_EQ(asked, 2);
}

TEST_F(JudgedRun, AChatTemplateGetsSystemAndUser) {
  auto model = std::make_unique<FakeSource>([](const std::string&) { return "x"; });
  FakeSource& asked = *model;
  ChatSource chat(std::move(model),
                  ChatTemplate("{% for m in messages %}<{{m.role}}>{{m.content}}{% endfor %}"
                               "{% if add_generation_prompt %}<assistant>{% endif %}",
                               "chat", Json::object()));
  const auto all = tasks(kRated);
  std::vector<EvalItem> items = {all[0].items[0], all[0].items[1]};
  items[1].system = "be strict";
  chat.ask(all[0].task.config(), items, [](std::span<NumberedAnswer>) {});
  EXPECT_EQ(asked.asked[0].prompts[0], "<user>0<assistant>");
  EXPECT_EQ(asked.asked[1].prompts[0], "<system>be strict<user>1<assistant>");
  EXPECT_FALSE(asked.asked[1].system.has_value());
}

}  // namespace
}  // namespace lathe::testing
