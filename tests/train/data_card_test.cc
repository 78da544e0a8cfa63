// What a card says of rows, on rows of which every number is known.

#include "lathe/train/example/data_card.h"

#include <fstream>

#include "train/answers_run.h"

namespace lathe::testing {
namespace {

constexpr const char* kStory =
    "Once upon a time a fox lived in the old forest behind the hill and every morning it went down to the "
    "river to drink";

class DataCards : public AnswersRun {
 protected:
  std::string rows(const std::vector<Json>& all, const char* name = "rows.jsonl") {
    std::string text;
    for (const Json& row : all) text += row.dump() + "\n";
    return folder_.write(name, text).string();
  }
  static Json chat(const std::string& user, const std::string& assistant) {
    return {
        {"messages",
         {{{"role", "user"}, {"content", user}}, {{"role", "assistant"}, {"content", assistant}}}}};
  }
  static Json pair(const std::string& prompt, const std::string& completion) {
    return {{"prompt", prompt}, {"completion", completion}};
  }
  DataCard card(const std::vector<Json>& all, DataCardOptions options = {}) {
    return make_data_card({rows(all)}, options);
  }
};

using Counts = std::map<std::string, int64_t>;

TEST_F(DataCards, CountFormsRolesAndLanguages) {
  Json with_system = chat("What is the time?", "It is late, and you are in bed.");
  with_system["messages"].insert(with_system["messages"].begin(),
                                 Json({{"role", "system"}, {"content", "Be brief."}}));
  const DataCard got =
      card({with_system,
            chat("天地", "宇宙洪荒"),
            pair("Q", "A B C"),
            {{"instruction", "Say it"}, {"output", "it"}},
            {{"conversations",
              {{{"from", "human"}, {"value", "x"}}, {{"from", "gpt"}, {"value", "y"}}}}},
            {{"prompt_ids", {1, 2}}, {"completion_ids", {3}}}});
  EXPECT_EQ(got.rows, 6);
  EXPECT_EQ(got.forms, (Counts{{"messages", 2},
                               {"prompt, completion", 1},
                               {"instruction, output", 1},
                               {"conversations", 1},
                               {"prompt_ids, completion_ids", 1}}));
  EXPECT_EQ(got.roles,
            (Counts{{"system", 1}, {"user", 4}, {"assistant", 4}, {"prompt", 1}, {"answer", 1}}));
  EXPECT_EQ(got.languages, (Counts{{"en", 2}, {"zh", 1}, {"Latin", 2}, {"ids", 1}}));
  EXPECT_EQ(got.words_of_answers.count(), 6);
  EXPECT_EQ(got.words_of_answers.quantile(1), 8);
  EXPECT_FALSE(got.has_tokens);
}

TEST_F(DataCards, FindEqualAndNearlyEqualRowsAndPromptsWithDifferentAnswers) {
  std::string near = kStory;
  near.replace(near.find("drink"), 5, "sleep");
  const DataCard got = card({pair(kStory, "yes"), pair("Other", "no"), pair(kStory, "yes"),
                             pair(near, "yes"), pair("Other", "maybe"), pair("Other", "no")});
  EXPECT_EQ(got.exact_duplicates, 2);
  EXPECT_EQ(got.near_duplicates, 1);
  EXPECT_EQ(got.conflicting_prompts, 1);
  EXPECT_EQ(got.conflicting_rows, 3);
  const std::string file = (folder_ / "rows.jsonl").string();
  EXPECT_EQ(got.examples,
            (std::vector<std::string>{
                file + ":3 equals " + file + ":1", file + ":4 is nearly " + file + ":1",
                file + ":6 equals " + file + ":2", file + ":2 has 2 different answers"}));
}

TEST_F(DataCards, FindRowsInOtherText) {
  const std::string plain =
      folder_.write("web.txt", std::string("Before. ") + kStory + " and then it slept.").string();
  // In a field of any name, with other cases and signs.
  std::string loud = kStory;
  for (char& c : loud) c = c == ' ' ? '-' : static_cast<char>(std::toupper(c));
  const std::string tests =
      rows({{{"id", 7}, {"input", {{"text", loud}}}}, {{"id", 8}}}, "tests.jsonl");
  const std::string other = folder_.write("other.txt", "nothing of the kind").string();
  DataCardOptions options;
  options.against = {plain, tests, other};
  const DataCard got =
      card({pair(kStory, "yes"), pair("Short", "no"), chat("Tell me", kStory)}, options);
  ASSERT_EQ(got.overlaps.size(), 3u);
  EXPECT_EQ(got.overlaps[0].rows, 2);
  EXPECT_EQ(got.overlaps[1].rows, 2);
  EXPECT_EQ(got.overlaps[2].rows, 0);
  EXPECT_EQ(got.too_short, 1);
  options.ngram = 100;
  EXPECT_EQ(card({pair(kStory, "yes")}, options).overlaps[0].rows, 0);
}

TEST_F(DataCards, SayWhatTrainingWouldLeaveOut) {
  folder_.write("tokenizer.json", sample_json({}));
  DataCardOptions options;
  options.examples.tokenizer = folder_.path().string();
  options.examples.vocab_size = kTokens;
  options.examples.seq_len = 8;
  const DataCard got =
      card({pair("Q", "AB"), pair("Q", ""), pair("Q", "ABCDEFGHIJ"), pair("QQ", "ABC")}, options);
  EXPECT_TRUE(got.has_tokens);
  EXPECT_EQ(got.skipped, (Counts{{"empty_answer", 1}, {"too_long", 1}}));
  EXPECT_EQ(got.trained_tokens, 5);
  EXPECT_EQ(got.tokens_of_prompts.quantile(1), 2);
  EXPECT_EQ(got.tokens_of_answers.mean(), 2.5);
}

TEST(Lengths, HaveAMiddleAndAHistogram) {
  Lengths lengths;
  EXPECT_TRUE(lengths.histogram().empty());
  EXPECT_EQ(lengths.quantile(0.5), 0);
  for (const int64_t each : {0, 1, 3, 2, 9, 3}) lengths.add(each);
  EXPECT_EQ(lengths.mean(), 3);
  EXPECT_EQ(lengths.quantile(0.5), 2);
  EXPECT_EQ(lengths.quantile(1), 9);
  std::string text;
  for (const auto& b : lengths.histogram())
    text += fmt::format("{}-{}:{} ", b.first, b.last, b.count);
  EXPECT_EQ(text, "0-0:1 1-1:1 2-3:3 4-7:0 8-15:1 ");
}

TEST_F(DataCards, OfARunStandInItsFolder) {
  train(read_recipe(answers_tree({"sft", "decoder"})));
  std::ifstream in(out() / kDataCardFile);
  const Json got = Json::parse(in);
  EXPECT_EQ(got.at("rows"), 24);
  EXPECT_EQ(got.at("forms"), Json({{"prompt_ids, completion_ids", 24}}));
  EXPECT_EQ(got.at("tokens_of_answers").at("longest"), 5);
  EXPECT_EQ(got.at("skipped"), Json::object());
}

// It is made with the reading of the rows, which are not read again for it.
TEST_F(DataCards, AreThoseOfTheSetThatWasRead) {
  const Recipe recipe = read_recipe(answers_tree({"sft", "decoder"}));
  TrainCallbacks callbacks = logging();
  int64_t read = 0;
  callbacks.read_examples = [&](const auto& files, const auto& options, const Log& log) {
    ++read;
    EXPECT_TRUE(options.card);
    auto set = std::make_shared<ExampleSet>(read_examples(files, options, log));
    DataCard card = *set->card;
    EXPECT_EQ(card.rows, 24);
    card.rows = 1234;
    set->card = std::make_shared<const DataCard>(card);
    return set;
  };
  TrainLoop(recipe, callbacks).run(TrainLoop::Start::kFresh);
  EXPECT_EQ(read, 1);
  std::ifstream in(out() / kDataCardFile);
  EXPECT_EQ(Json::parse(in).at("rows"), 1234);
  // A run that goes on has one already.
  fs::remove_all(checkpoint(6));
  fs::remove_all(out() / "model");
  callbacks.read_examples = [&](const auto& files, const auto& options, const Log& log) {
    EXPECT_FALSE(options.card);
    auto set = std::make_shared<ExampleSet>(read_examples(files, options, log));
    EXPECT_EQ(set->card, nullptr);
    return set;
  };
  TrainLoop(recipe, callbacks).run(TrainLoop::Start::kResume);
}

TEST_F(DataCards, KnowWhatRowsAreFor) {
  const auto kind = [&](const Json& row) { return kind_of_rows(rows({row})); };
  EXPECT_EQ(kind(pair("a", "b")), ExampleKind::kSingle);
  EXPECT_EQ(kind(chat("a", "b")), ExampleKind::kSingle);
  EXPECT_EQ(kind({{"prompt", "a"}, {"chosen", "b"}, {"rejected", "c"}}), ExampleKind::kRanking);
  EXPECT_EQ(kind({{"prompt", "a"}, {"answer", "b"}}), ExampleKind::kPrompt);
  EXPECT_EQ(kind({{"prompt", "a"}, {"completions", {"b"}}, {"labels", {true}}}),
            ExampleKind::kSteps);
}

}  // namespace
}  // namespace lathe::testing
