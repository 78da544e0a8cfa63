// Answers in steps: rows of them, what a process reward model's loss makes of its scores, and the folder that
// is written.

#include <cmath>

#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/load_model.h"
#include "lathe/train/example/example_file.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

class Steps : public AnswersRun {
 protected:
  Steps() {
    folder_.write("tokenizer.json", sample_json({}));
    options_.kind = ExampleKind::kSteps;
    options_.vocab_size = kTokens;
    options_.tokenizer = folder_.path().string();
  }
  ExampleSet read(const std::string& rows) {
    return read_examples({folder_.write("rows.jsonl", rows).string()}, options_);
  }
  void expect_refusal(const char* row, const char* part) {
    const std::string text = error_text([&] { read(row); });
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  ExampleOptions options_;
};

using Ids = std::vector<int32_t>;
using Flags = std::vector<uint8_t>;

TEST_F(Steps, AreJoinedByTheSeparatorWhoseLastTokenIsJudged) {
  const Example words =
      read(R"({"prompt": "Q", "completions": ["A", "BC"], "labels": [true, false]})")
          .examples.at(0);
  EXPECT_EQ(words.prompt, Ids{'Q'});
  EXPECT_EQ(words.answers.at(0).ids, (Ids{'A', '\n', 'B', 'C', '\n'}));
  EXPECT_EQ(words.answers[0].trained, (Flags{0, 1, 0, 0, 1}));
  EXPECT_EQ(words.step_labels, (Flags{1, 0}));
  options_.step_separator = "#+";
  EXPECT_EQ(
      read(R"({"prompt": "Q", "completions": ["A"], "labels": [1]})").examples.at(0).answers[0].ids,
      (Ids{'A', '#', '+'}));
  const Example ids =
      read(R"({"prompt_ids": [1], "steps_ids": [[5, 6], [7]], "labels": [0, 1]})").examples.at(0);
  EXPECT_EQ(ids.answers.at(0).ids, (Ids{5, 6, 7}));
  EXPECT_EQ(ids.answers[0].trained, (Flags{0, 1, 1}));
  EXPECT_EQ(ids.step_labels, (Flags{0, 1}));
}

TEST_F(Steps, AreCutWithTheirLabels) {
  options_.seq_len = 5;
  options_.truncation = "keep_start";
  const ExampleSet set =
      read(R"({"prompt_ids": [1, 2], "steps_ids": [[5], [6], [7, 8]], "labels": [1, 0, 1]})");
  EXPECT_EQ(set.examples.at(0).answers[0].ids, (Ids{5, 6, 7}));
  EXPECT_EQ(set.examples[0].step_labels, (Flags{1, 0}));
}

TEST_F(Steps, ThatAreNoneAreRefusedInWords) {
  expect_refusal(R"({"prompt": "Q", "completions": ["A", "B"], "labels": [true]})",
                 "rows.jsonl:1] 'labels' has 1 for 2 steps, expected one for each");
  expect_refusal(R"({"prompt": "Q", "completions": ["A"], "labels": ["yes"]})",
                 "'labels' is \"yes\", expected true for what is right or good, or false");
  expect_refusal(R"({"prompt": "Q", "completions": "A", "labels": [true]})",
                 "'completions' is \"A\", expected a list of texts, the steps of one answer");
  expect_refusal(R"({"prompt": "Q", "completions": ["A"]})", "'labels' is missing");
  expect_refusal(R"({"prompt": "Q", "completion": "A", "labels": [true]})",
                 "'completions' is missing");
  expect_refusal(R"({"prompt_ids": [1], "steps_ids": [[]], "labels": [1]})",
                 "'steps_ids' has a step without ids");
}

// Of two answers with two steps and one, in micro-batches of any size.
struct StepLoss {
  double loss = 0;
  std::vector<double> gradient;
};
StepLoss loss_of(const std::vector<Example>& examples, const std::vector<double>& scores,
                 int64_t all) {
  ObjectiveConfig config;
  config.name = "prm";
  const auto objective = make_answer_objective(config, ModelConfig());
  std::vector<const Example*> pointers;
  for (const Example& example : examples) pointers.push_back(&example);
  const AnswerBatch batch = make_answer_batch(pointers, {.whole = true});
  const StepCounts counts{.examples = 2, .sequences = 2, .tokens = all};
  const TokenScores none;
  ValueTape tape;
  LossInput in{.batch = batch, .step = counts, .policy = none};
  in.scores = tape.leaf(scores);
  const AnswerLoss loss = objective->loss(in);
  tape.backward(loss.loss);
  return {loss.loss.item(), tape.gradient(in.scores)};
}

TEST_F(Steps, TheLossIsTheMeanCrossEntropyOfTheirLabels) {
  const std::vector<Example> examples =
      read(
          "{\"prompt_ids\": [1], \"steps_ids\": [[5, 6], [7]], \"labels\": [0, 1]}\n"
          "{\"prompt_ids\": [1], \"steps_ids\": [[5]], \"labels\": [1]}\n")
          .examples;
  const std::vector<double> scores = {0.3, -0.7, 1.2, 0.4, -0.5, 2.0};
  const auto entropy = [&](size_t step, size_t label) {
    const double wrong = std::exp(scores[2 * step]), right = std::exp(scores[2 * step + 1]);
    return -std::log((label == 1 ? right : wrong) / (wrong + right));
  };
  const double want = (entropy(0, 0) + entropy(1, 1) + entropy(2, 1)) / 3;
  const StepLoss got = loss_of(examples, scores, 3);
  EXPECT_NEAR(got.loss, want, 1e-12);
  for (size_t i = 0; i < scores.size(); ++i) {
    std::vector<double> up = scores, down = scores;
    up[i] += 1e-5;
    down[i] -= 1e-5;
    EXPECT_NEAR(got.gradient[i],
                (loss_of(examples, up, 3).loss - loss_of(examples, down, 3).loss) / 2e-5, 1e-8);
  }
  EXPECT_NEAR(loss_of({examples[0]}, {0.3, -0.7, 1.2, 0.4}, 3).loss +
                  loss_of({examples[1]}, {-0.5, 2.0}, 3).loss,
              want, 1e-12);
}

// Its weights, with two scores that begin small and random, and a bias, in place of its head.
TEST_F(Steps, TrainATokenClassifier) {
  Json tree = answers_tree({"prm", "decoder"}, "llama");
  train(read_recipe(tree));
  const Json config = read_json_file(out() / "model" / "config.json");
  EXPECT_EQ(config.at("architectures"), Json({"LlamaForTokenClassification"}));
  EXPECT_EQ(config.at("id2label").size(), 2u);
  const SafetensorsReader file(out() / "model");
  EXPECT_NE(file.find("score.weight"), nullptr);
  EXPECT_NE(file.find("score.bias"), nullptr);
  EXPECT_EQ(file.find("lm_head.weight"), nullptr);
  const ModelConfig back = read_model_config(out() / "model");
  EXPECT_EQ(back.num_labels, 2);
  EXPECT_TRUE(back.lm_head_bias);
  const double last = metrics()[5].at("loss").get<double>();
  // It goes on where it ended, also with an adapter.
  fs::rename(out(), folder_ / "first");
  tree["model"]["from"] = (folder_ / "first" / "model").string();
  tree["adapter"] = Json::parse(R"({"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]})");
  train(read_recipe(tree));
  EXPECT_LT(metrics()[0].at("loss").get<double>(), last + 0.5);
  // A classifier of texts is another thing.
  start_over();
  tree = answers_tree({"prm", "decoder"}, "llama");
  tree["model"]["from"] = model_folder("judge", model_config("decoder", 1), 4);
  const std::string text = error_text([&] { train(read_recipe(tree)); });
  EXPECT_NE(text.find("a model that judges steps gives two scores, but this one gives 1"),
            std::string::npos)
      << text;
}

TEST_F(Steps, TheSeparatorIsForObjectivesOfSteps) {
  Json tree = answers_tree({"sft", "decoder"});
  tree["data"]["step_separator"] = "#";
  const std::string text = error_text([&] { read_recipe(tree); });
  EXPECT_NE(
      text.find("[data.step_separator] stands between the steps of answers, which sft has none of"),
      std::string::npos)
      << text;
}

}  // namespace
}  // namespace lathe::testing
