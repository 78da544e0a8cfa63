// Answers from the best to the worst: rows of them, and what a reward model's loss makes of their scores.

#include <cmath>

#include "lathe/train/example/example_file.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

class Ranking : public AnswersRun {
 protected:
  ExampleSet read(const std::string& rows) {
    ExampleOptions options;
    options.kind = ExampleKind::kRanking;
    options.vocab_size = kTokens;
    options.tokenizer = folder_.path().string();
    folder_.write("tokenizer.json", sample_json({}));
    return read_examples({folder_.write("rows.jsonl", rows).string()}, options);
  }
  // Of the only row.
  std::vector<std::vector<int32_t>> answers(const std::string& row) {
    std::vector<std::vector<int32_t>> ids;
    const ExampleSet set = read(row);
    for (const Answer& answer : set.examples.at(0).answers) ids.push_back(answer.ids);
    return ids;
  }
  std::string refusal(const std::string& row) {
    return error_text([&] { read(row); });
  }
};

TEST_F(Ranking, RowsAreReadFromTheBestToTheWorst) {
  using Ids = std::vector<std::vector<int32_t>>;
  EXPECT_EQ(answers(R"({"prompt_ids": [1], "answers_ids": [[5], [6, 7], [8]]})"),
            (Ids{{5}, {6, 7}, {8}}));
  EXPECT_EQ(
      answers(R"({"prompt_ids": [1], "answers_ids": [[5], [6, 7], [8]], "ranking": [2, 0, 1]})"),
      (Ids{{8}, {5}, {6, 7}}));
  EXPECT_EQ(answers(R"({"prompt_ids": [1], "chosen_ids": [5], "rejected_ids": [6]})"),
            (Ids{{5}, {6}}));
  EXPECT_EQ(answers(R"({"prompt": "Q", "answers": ["A", "BB", "C"], "ranking": [1, 2, 0]})"),
            (Ids{{'B', 'B'}, {'C'}, {'A'}}));
  EXPECT_EQ(answers(R"({"prompt": "Q", "chosen": "A", "rejected": "B"})"), (Ids{{'A'}, {'B'}}));
  folder_.write("chat_template.jinja",
                "{% for m in messages %}{{ m.role[0] }}{{ m.content }};{% endfor %}{% if "
                "add_generation_prompt %}a{% endif %}");
  const Ids messages = {{'B', ';'}, {'A', ';'}};
  EXPECT_EQ(answers(R"({"messages": [{"role": "user", "content": "Q"}],
                        "answers": ["A", {"role": "assistant", "content": "B"}], "ranking": [1, 0]})"),
            messages);
  EXPECT_EQ(answers(R"({"instruction": "Q", "output": ["B", "A"]})"), messages);
}

TEST_F(Ranking, RowsThatAreNoneAreRefusedInWords) {
  const auto expect = [&](const char* row, const char* part) {
    EXPECT_NE(refusal(row).find(part), std::string::npos) << refusal(row);
  };
  expect(R"({"prompt_ids": [1], "answers_ids": [[5]]})",
         "rows.jsonl:1] there are 1 answers, expected two or more");
  expect(R"({"prompt_ids": [1], "answers_ids": [[5], 6]})", "'answers_ids' is 6, expected a list");
  expect(R"({"prompt_ids": [1], "answers_ids": [[5], [6]], "ranking": [0]})",
         "'ranking' has 1 numbers for the 2 answers, expected one for each");
  for (const char* ranking : {"[0, 0]", "[1, 2]", "[-1, 0]", "[0.5, 1]"})
    expect(
        fmt::format(R"({{"prompt": "Q", "answers": ["A", "B"], "ranking": {}}})", ranking).c_str(),
        "expected each of 0 to 1 once: the answers from the best to the worst, counted from 0");
  expect(R"({"prompt": "Q", "answers": "A"})",
         "'answers' is \"A\", expected a list of two answers or more, the best first");
  expect(R"({"prompt": "Q", "answers": ["A", 2]})", "'answers' is 2, expected a text");
  expect(R"({"prompt": "Q", "completion": "A"})", "'chosen' is missing");
  const ExampleSet set = read(
      "{\"prompt\": \"Q\", \"answers\": [\"A\", \"B\", \"A\"]}\n"
      "{\"prompt\": \"Q\", \"answers\": [\"A\", \"B\"]}\n");
  EXPECT_EQ(set.skipped, (std::map<std::string, int64_t>{{"equal_answers", 1}}));
}

// One prompt each, with so many answers.
std::vector<Example> prompts_with(const std::vector<size_t>& counts) {
  std::vector<Example> examples;
  for (const size_t count : counts) {
    Example& example = examples.emplace_back();
    example.place = fmt::format("rows:{}", examples.size());
    example.prompt = {1};
    for (size_t a = 0; a < count; ++a)
      example.answers.push_back({.ids = {static_cast<int32_t>(2 + a)}, .trained = {1}});
  }
  return examples;
}

struct LossOf {
  double loss;
  std::vector<double> gradient;
  std::map<std::string, double> metrics;
};

LossOf reward_loss(const std::vector<Example>& examples, const std::vector<double>& scores,
                   const Json& keys) {
  ObjectiveConfig config;
  Json section = {{"name", "reward"}};
  section.update(keys);
  read_config(config, section, "objective");
  const Objective& entry = find_in(objectives(), "objective.name", "reward");
  const auto objective = entry.answers(config.components.of("reward"));
  std::vector<const Example*> pointers;
  for (const Example& example : examples) pointers.push_back(&example);
  const AnswerBatch batch = make_answer_batch(pointers, {.whole = true});
  const StepCounts counts{.examples = std::ssize(examples), .sequences = batch.sequences()};
  const TokenScores none;
  ValueTape tape;
  LossInput in{.batch = batch, .step = counts, .policy = none};
  in.scores = tape.leaf(scores);
  const AnswerLoss loss = objective->loss(in);
  tape.backward(loss.loss);
  LossOf all{loss.loss.item(), tape.gradient(in.scores), {}};
  for (const Measured& each : loss.metrics) all.metrics[each.name] = each.sum / each.weight;
  return all;
}

// Sequences are the first answers of all prompts, then the second ones, then the third of the first prompt.
const std::vector<double> kScores = {0.9, -0.3, 0.4, 0.8, -1.1};

TEST(RankingLoss, IsTheMeanOverPairsOfAPrompt) {
  const std::vector<Example> examples = prompts_with({3, 2});
  const auto pair = [](double better, double worse) {
    return std::log1p(std::exp(-(better - worse)));
  };
  const double first = (pair(0.9, 0.4) + pair(0.9, -1.1) + pair(0.4, -1.1)) / 3,
               second = pair(-0.3, 0.8);
  const LossOf got = reward_loss(examples, kScores, Json::object());
  EXPECT_NEAR(got.loss, (first + second) / 2, 1e-12);
  EXPECT_NEAR(got.metrics.at("accuracy"), 3.0 / 4, 1e-12);
  const double centred =
      ((std::pow(1.3, 2) + std::pow(-0.2, 2) + std::pow(-0.7, 2)) / 3 + std::pow(0.5, 2)) / 2;
  EXPECT_NEAR(reward_loss(examples, kScores, {{"center_rewards_coefficient", 0.1}}).loss,
              got.loss + 0.1 * centred, 1e-12);
}

TEST(RankingLoss, PlackettLuceIsTheOrdersLikelihood) {
  const std::vector<Example> examples = prompts_with({3, 2});
  const auto e = [](double x) { return std::exp(x); };
  const double first =
                   -std::log(e(0.9) / (e(0.9) + e(0.4) + e(-1.1)) * e(0.4) / (e(0.4) + e(-1.1))),
               second = -std::log(e(-0.3) / (e(-0.3) + e(0.8)));
  EXPECT_NEAR(reward_loss(examples, kScores, {{"loss", "plackett_luce"}}).loss,
              (first + second) / 2, 1e-12);
  // Of pairs both are the same, and no score is too large.
  const std::vector<Example> pairs = prompts_with({2, 2});
  const std::vector<double> large = {900, -3, 4, 1000};
  EXPECT_NEAR(reward_loss(pairs, large, {{"loss", "plackett_luce"}}).loss,
              reward_loss(pairs, large, Json::object()).loss, 1e-9);
}

TEST(RankingLoss, GradientsAreCentralDifferences) {
  const std::vector<Example> examples = prompts_with({3, 2});
  for (const char* loss : {"pairs", "plackett_luce"}) {
    const Json keys = {{"loss", loss}, {"center_rewards_coefficient", 0.05}};
    const LossOf got = reward_loss(examples, kScores, keys);
    for (size_t i = 0; i < kScores.size(); ++i) {
      std::vector<double> up = kScores, down = kScores;
      up[i] += 1e-5;
      down[i] -= 1e-5;
      EXPECT_NEAR(
          got.gradient[i],
          (reward_loss(examples, up, keys).loss - reward_loss(examples, down, keys).loss) / 2e-5,
          1e-8)
          << loss << " " << i;
    }
  }
}

TEST(RankingLoss, AMarginIsThatOfEveryPair) {
  std::vector<Example> examples = prompts_with({3});
  examples[0].margin = 0.5;
  const std::vector<double> scores = {0.9, 0.4, -1.1};
  const auto pair = [](double gap) { return std::log1p(std::exp(-(gap - 0.5))); };
  EXPECT_NEAR(reward_loss(examples, scores, Json::object()).loss,
              (pair(0.5) + pair(2.0) + pair(1.5)) / 3, 1e-12);
  EXPECT_NE(error_text([&] {
              reward_loss(examples, scores, {{"loss", "plackett_luce"}});
            }).find("[rows:1] a margin is between two answers"),
            std::string::npos);
}

// Rows with two and three answers, in micro-batches of any size.
TEST_F(Ranking, MicroBatchesGiveTheGradientOfOneBatch) {
  for (const char* loss : {"pairs", "plackett_luce"}) {
    Json tree = answers_tree({"reward", "decoder"});
    tree["objective"]["loss"] = loss;
    tree["train"]["steps"] = 1;
    tree["data"]["order"] = "sequential";
    std::vector<double> losses, norms;
    for (const int64_t micro : {24, 8, 1}) {
      start_over();
      tree["train"]["batch_size"] = micro;
      tree["train"]["grad_accumulation"] = 24 / micro;
      train(read_recipe(tree));
      losses.push_back(metrics()[0].at("loss").get<double>());
      norms.push_back(metrics()[0].at("grad_norm").get<double>());
    }
    for (size_t i = 1; i < losses.size(); ++i) {
      EXPECT_NEAR(losses[i], losses[0], 1e-5 * losses[0]) << loss;
      EXPECT_NEAR(norms[i], norms[0], 1e-4 * norms[0]) << loss;
    }
  }
}

}  // namespace
}  // namespace lathe::testing
