// Text of the old mixture between answers: what the step's loss is, which text it reads, and what is
// measured before and after a run.

#include <cmath>

#include "lathe/io/manifest.h"
#include "lathe/train/evaluation.h"
#include "lathe/train/example/example_file.h"
#include "lathe/train/task/pretraining_text.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

constexpr double kShare = 0.25;

class ReplayRun : public AnswersRun {
 protected:
  // A shard of tokens that the model has, with a document of each length up to 40.
  std::string old_shard(const std::string& name) {
    Documents documents;
    for (int i = 1; i <= 40; ++i) {
      std::vector<int32_t> document;
      for (int t = 0; t < i; ++t) document.push_back(40 + (i * 7 + t * t) % 23);
      documents.push_back(std::move(document));
    }
    return write_shard(folder_ / name, documents, kTokens);
  }
  Json tree(const char* objective = "sft") {
    Json tree = answers_tree({objective, "decoder"}, "llama");
    tree["data"]["replay"] = {old_shard("old")};
    tree["data"]["replay_share"] = kShare;
    return tree;
  }
  static double number(const Json& line, const char* key) { return line.at(key).get<double>(); }
  // The gradient norm and the loss of the first step.
  std::pair<double, double> first_step(const Json& tree, const TrainCallbacks& callbacks) {
    start_over();
    TrainLoop(read_recipe(tree), callbacks).run(TrainLoop::Start::kFresh);
    return {number(metrics()[0], "grad_norm"), number(metrics()[0], "loss")};
  }
};

TEST_F(ReplayRun, TheLossIsTheStatedMixture) {
  for (const char* objective : {"sft", "dpo", "distill"}) {
    Json with = tree(objective), without = with;
    for (const char* key : {"replay", "replay_share"}) without["data"].erase(key);
    start_over();
    train(read_recipe(without));
    const double alone = number(metrics()[0], "loss");
    const double trained = number(metrics()[0], "trained_tokens");
    start_over();
    train(read_recipe(with));
    for (const Json& line : metrics())
      EXPECT_NEAR(
          number(line, "loss"),
          (1 - kShare) * number(line, "objective_loss") + kShare * number(line, "replay_loss"),
          1e-12);
    const Json first = metrics()[0];
    EXPECT_EQ(number(first, "objective_loss"), alone) << objective << ": the same answers";
    EXPECT_EQ(number(first, "replay_tokens"), std::round(trained * kShare / (1 - kShare)));
    // A model that knows nothing yet.
    EXPECT_NEAR(number(first, "replay_loss") / std::log(kTokens), 1.5, 0.75);
  }
}

// Where answers and replayed text are the same text, the gradient is the one of either.
TEST_F(ReplayRun, TheGradientHasTheSharesOfTheLoss) {
  Json with = tree();
  std::vector<int32_t> text;
  for (int t = 0; t < 26; ++t) text.push_back(40 + t * t % 23);
  const std::string same = write_shard(folder_ / "same", {text}, kTokens);
  with["data"]["replay"] = {same};
  // Three sequences of 24 tokens replay one and the same, the last of a row of 25 that are predicted.
  with["train"]["seq_len"] = 25;
  with["train"]["steps"] = 1;
  TrainCallbacks callbacks;
  callbacks.read_examples = [&](const auto&, const auto&, const auto&) {
    auto set = std::make_shared<ExampleSet>();
    Example& example = set->examples.emplace_back();
    example.prompt = {text[0], text[1]};
    example.answers.push_back({.ids = {text.begin() + 2, text.end()}, .trained = {}});
    example.answers[0].trained.assign(24, 1);
    return set;
  };
  Json without = with;
  for (const char* key : {"replay", "replay_share"}) without["data"].erase(key);
  const auto [norm, loss] = first_step(without, callbacks);
  const auto [mixed_norm, mixed_loss] = first_step(with, callbacks);
  EXPECT_EQ(number(metrics()[0], "replay_tokens"), 24);
  EXPECT_NEAR(mixed_loss, loss, 1e-6 * loss);
  EXPECT_NEAR(mixed_norm, norm, 1e-5 * norm);
  // Not because one of them counts for nothing.
  with["data"]["replay"] = {old_shard("other")};
  EXPECT_GT(std::abs(first_step(with, callbacks).first - norm), 1e-3 * norm);
}

TEST_F(ReplayRun, ResumesToTheSameBitsFromEveryStep) {
  for (const bool adapter : {false, true}) {
    Json tree = this->tree();
    tree["data"]["replay_valid"] = {"old=" + old_shard("held")};
    if (adapter)
      tree["adapter"] = Json::parse(
          R"({"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], "lora_dropout": 0.1})");
    else
      tree["model"]["hidden_dropout"] = 0.1;
    const Recipe r = read_recipe(tree);
    start_over();
    train(r);
    const auto unbroken = result();
    fs::remove_all(folder_ / "unbroken");
    fs::rename(out(), folder_ / "unbroken");
    for (int64_t step = 1; step < r.train.steps; ++step) {
      start_over();
      fs::copy(folder_ / "unbroken", out(), fs::copy_options::recursive);
      for (const char* made : {"model", "adapter"}) fs::remove_all(out() / made);
      for (const int64_t s : CheckpointStore(out() / "checkpoints").steps())
        if (s > step) fs::remove_all(checkpoint(s));
      train(r, TrainLoop::Start::kResume);
      EXPECT_EQ(result(), unbroken) << "resumed after step " << step;
    }
  }
}

TEST_F(ReplayRun, StepsReadTheirOwnRowsWhateverStoodBefore) {
  Json tree = this->tree();
  tree["train"]["seq_len"] = 8;
  tree["train"]["batch_size"] = 12;  // 12 · 1/3: four rows at most
  const Recipe r = read_recipe(tree);
  Transformer model(r.model);
  const auto replay = make_replay(r, {.policy = &model});
  const auto ids = [&](int64_t step, int64_t trained) {
    std::vector<std::vector<int32_t>> all;
    for (const Example& row : replay->rows(step, trained)) {
      EXPECT_EQ(row.prompt.size() + row.answers[0].ids.size(), 9u) << "the whole row is read";
      EXPECT_EQ(row.answers[0].trained_count(), std::ssize(row.answers[0].ids));
      all.push_back(row.answers[0].ids);
    }
    return all;
  };
  EXPECT_EQ(ids(1, 60), ids(1, 60));
  const auto twenty = ids(2, 60);  // 60 · 1/3
  ASSERT_EQ(twenty.size(), 3u);
  EXPECT_EQ(twenty[0].size(), 8u);
  EXPECT_EQ(twenty[2].size(), 4u);  // the last four of a row
  EXPECT_EQ(ids(2, 72)[2], [&] {
    const std::vector<Example> rows = replay->rows(2, 60);
    std::vector<int32_t> whole(rows[2].prompt.begin() + 1, rows[2].prompt.end());
    whole.insert(whole.end(), twenty[2].begin(), twenty[2].end());
    return whole;
  }());
  const auto eight = ids(2, 24);
  ASSERT_EQ(eight.size(), 1u);
  EXPECT_EQ(eight[0], twenty[0]);
  EXPECT_NE(ids(3, 24), eight);
  EXPECT_EQ(ids(1, 1).size(), 1u);  // a third of a token
  EXPECT_EQ(ids(1, 1)[0].size(), 1u);
  EXPECT_EQ(ids(1, 1000).size(), 4u);
}

TEST_F(ReplayRun, MeasuresTheOldMixtureBeforeAndAfter) {
  Json tree = answers_tree({"sft", "decoder"}, "llama");
  tree["data"]["replay_valid"] = {"a=" + old_shard("a"), old_shard("b")};
  tree["optim"]["lr"] = 0.05;
  const std::string from = tree["model"]["from"];
  train(read_recipe(tree));
  const std::vector<Json> lines = metrics();
  ASSERT_EQ(lines.front().at("step"), 0);
  ASSERT_EQ(lines.back().at("step"), 6);
  for (const char* key : {"old_loss.a", "old_loss.b"})
    EXPECT_GT(std::abs(number(lines.back(), key) - number(lines.front(), key)), 1e-3) << key;
  EXPECT_NE(log_.find(fmt::format("before the first step: loss on a (data.replay_valid) {:.4f}",
                                  number(lines.front(), "old_loss.a"))),
            std::string::npos)
      << log_;
  EXPECT_NE(log_.find("after step 6: loss on b (data.replay_valid) "), std::string::npos) << log_;
  // What `lathe eval` says of the finished model.
  EvaluationConfig config;
  config.model = (out() / "model").string();
  config.data = (folder_ / "a").string();
  config.seq_len = 24;
  const Evaluation again = evaluate(config, {});
  EXPECT_NEAR(again.loss.loss(), number(lines.back(), "old_loss.a"), 1e-5);
  // An adapter acts in it.
  start_over();
  tree["adapter"] = Json::parse(R"({"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 3})");
  train(read_recipe(tree));
  EXPECT_NE(number(metrics().front(), "old_loss.a"), number(lines.front(), "old_loss.a"));
  // And text runs have it, too.
  start_over();
  Json text = recipe_;
  text["data"]["replay_valid"] = {"valid=" + recipe_["data"]["valid"].get<std::string>()};
  train(read_recipe(text));
  EXPECT_EQ(number(metrics().back(), "old_loss.valid"),
            number(metrics()[metrics().size() - 2], "val_loss"));
}

TEST_F(ReplayRun, IsPartOfTheDataThatARunGoesOnWith) {
  Json tree = this->tree();
  tree["data"]["replay_valid"] = {"old=" + old_shard("held")};
  train(read_recipe(tree));
  std::string named;
  for (const ArtefactRef& input : read_manifest(manifest_path(out() / "model", true)).inputs)
    named += input.kind + " " + fs::path(input.path).filename().string() + "\n";
  EXPECT_EQ(named, "rows rows.jsonl\nshard held\nshard old\nmodel base\n");
  write_shard(folder_ / "old", counting_documents(300, 3));
  for (const int64_t s : CheckpointStore(out() / "checkpoints").steps())
    if (s > 3) fs::remove_all(checkpoint(s));
  const std::string text = error_text([&] { train(read_recipe(tree), TrainLoop::Start::kResume); });
  EXPECT_NE(text.find("content is not what the run started with"), std::string::npos) << text;
}

TEST_F(ReplayRun, RefusesWhatCannotWork) {
  const auto refusal = [&](const char* objective, const char* body, const Json& patch) {
    Json tree = answers_tree({objective, body});
    tree["data"]["replay"] = {old_shard("old")};
    tree.merge_patch(patch);
    return error_text([&] { train(read_recipe(tree)); });
  };
  const auto expect = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  expect(
      refusal("grpo", "decoder", Json::object()),
      "[data.replay] is for objectives over given answers; grpo draws its own; leave it out, or use "
      "objective.name = \"ppo\" with ptx_data");
  expect(
      refusal(
          "grpo", "encoder_decoder",
          {{"data", {{"replay", nullptr}}},
           {"objective", {{"name", "ppo"}, {"ptx_coef", 1.0}, {"ptx_data", {old_shard("old")}}}}}),
      "[objective.ptx_data] the next token of replayed text is predicted by a decoder with its head; ppo");
  expect(refusal("reward", "decoder", Json::object()),
         "[data.replay] the next token of replayed text");
  expect(refusal("sft", "encoder_decoder", Json::object()),
         "sft with body = \"encoder_decoder\" has none; leave it out");
  expect(refusal("sft", "decoder", {{"data", {{"replay_share", 1.0}}}}), "replay_share");
  expect(refusal("sft", "decoder", {{"data", {{"replay", nullptr}, {"replay_share", 0.2}}}}),
         "[data.replay_share] says how much of data.replay is read, which is not set");
  expect(refusal("sft", "decoder", {{"data", {{"replay", {(folder_ / "nowhere").string()}}}}}),
         "nowhere");
  expect(refusal("sft", "decoder", {{"data", {{"replay", {"x:-1"}}}}}),
         "[data.replay] 'x:-1' has the weight -1");
  expect(refusal("sft", "decoder", {{"data", {{"replay_valid", {"a=x", "a=y"}}}}}),
         "[data.replay_valid] two sets are named 'a'");
  expect(
      refusal("sft", "encoder_decoder", {{"data", {{"replay", nullptr}, {"replay_valid", {"x"}}}}}),
      "[data.replay_valid] is for decoders");
  Json text = recipe_;
  text["data"]["replay"] = {old_shard("old")};
  expect(error_text([&] { train(read_recipe(text)); }),
         "next_token learns from running text, so put the old shards into data.train");
}

}  // namespace
}  // namespace lathe::testing
