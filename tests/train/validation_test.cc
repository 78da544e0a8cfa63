// What a run measures while it trains: validation sets, the best checkpoint, averaged weights.

#include <cmath>

#include "lathe/model/load_model.h"
#include "lathe/model/model_pass.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/train/train_loop.h"
#include "train/run.h"

namespace lathe::testing {
namespace {

class Validation : public Run {};

TEST_F(Validation, AnErrorInAValidationLosesNoStep) {
  TrainCallbacks callbacks;
  callbacks.on_eval = [](const EvalReport&) { fail(ErrorKind::kIo, "screen", "is gone"); };
  const Recipe r = recipe(R"({"train": {"eval_every": 4, "checkpoint_every": 0}})");
  EXPECT_EQ(error_text([&] { TrainLoop(r, callbacks).run(TrainLoop::Start::kFresh); }),
            "[screen] is gone");
  EXPECT_EQ(CheckpointStore(out() / "checkpoints").steps(), (std::vector<int64_t>{4}));
  train(r, TrainLoop::Start::kResume);
  const auto resumed = result();
  start_over();
  train(r);
  EXPECT_EQ(resumed, result());
}

// The last batch is smaller where the samples do not fill it.
TEST_F(Validation, ValidationDoesNotDependOnTheBatchSize) {
  std::vector<double> losses;
  for (const int64_t batch_size : {1, 2, 5, 64}) {
    Recipe r = recipe(R"({"train": {"eval_samples": 11}})");
    r.train.batch_size = batch_size;
    losses.push_back(TrainLoop(r).evaluate(1).loss);
  }
  for (const double loss : losses) EXPECT_NEAR(loss, losses[0], 1e-6);
  const double all = TrainLoop(recipe(R"({"train": {"eval_samples": 0}})")).evaluate(1).loss;
  EXPECT_NE(all, losses[0]);
  EXPECT_EQ(all, TrainLoop(recipe(R"({"train": {"eval_samples": 10000}})")).evaluate(1).loss);
}

TEST_F(Validation, SeveralValidationSetsAreNamed) {
  write_shard(folder_ / "other", counting_documents(60, 7));
  recipe_["data"]["valid"] = {recipe_["data"]["valid"], "far away=" + (folder_ / "other").string()};
  train(recipe());
  const Json last = metrics().back();
  EXPECT_EQ(last.at("val_loss"), last.at("val_loss.valid"));
  EXPECT_NE(last.at("val_loss"), last.at("val_loss.far away"));
  EXPECT_EQ(read_manifest(out() / "model/lathe.manifest.json").inputs.size(), 3u);
}

TEST_F(Validation, TheBestCheckpointIsKeptAndPatienceEnds) {
  // A rate so high that the loss rises again.
  const char* patch = R"({"train": {"steps": 60, "eval_every": 2, "checkpoint_every": 0,
                                    "keep_last": 1, "keep_best": true, "patience": 3},
                          "optim": {"lr": 0.5}, "schedule": {"warmup_steps": 0}})";
  train(recipe(patch));
  double best = 1e9;
  int64_t step = 0, last = 0;
  for (const Json& line : metrics()) {
    last = line.at("step");
    if (line.contains("val_loss") && line["val_loss"] < best) {
      best = line["val_loss"];
      step = last;
    }
  }
  EXPECT_EQ(last, step + 6);
  EXPECT_LT(last, 60);
  EXPECT_NE(log_.find(fmt::format("ended after step {} of 60", last)), std::string::npos) << log_;
  EXPECT_EQ(CheckpointStore(out() / "checkpoints").steps(), (std::vector<int64_t>{step, last}));
  EXPECT_EQ(fs::read_symlink(out() / "checkpoints/best"), checkpoint_name(step));
  EXPECT_NO_THROW(load_model(out() / "checkpoints/best", {}));
  // A run that has ended stays as it is; with more patience it goes on.
  const auto ended = result();
  train(recipe(patch), TrainLoop::Start::kResume);
  EXPECT_EQ(result(), ended);
  Json more = Json::parse(patch);
  more["train"]["patience"] = 5;
  train(recipe(more.dump().c_str()), TrainLoop::Start::kResume);
  EXPECT_GT(metrics().back().at("step"), last);
}

// A model whose head is zero gives every token the same probability: log V nats each.
TEST_F(Validation, ValidationCountsNatsAndBytes) {
  write_shard(folder_ / "valid", {{1, 2, 3, 4, 5, 6, 7, 8, 9}, {2, 2, 2, 2, 2, 2, 2, 2}});
  TrainFacts facts;
  facts.token_bytes = {0, 1, 2, 3, 1, 1, 1, 1, 1, 4};  // of tokens 0 … 9; the rest has none
  const auto evaluate = [&](const char* patch) {
    TrainLoop loop(recipe(patch), {}, facts);
    for (Parameter* p : loop.model().parameters())
      if (p->name == "head.weight") p->value.tensor().fill_zero();
    return loop.evaluate(1);
  };
  // Two samples of 8: labels 2 … 9, then eight times 2.
  const double bytes = (2 + 3 + 1 + 1 + 1 + 1 + 1 + 4) + 8 * 2;
  const EvalReport whole = evaluate("{}");
  EXPECT_NEAR(whole.loss, std::log(13.0), 1e-6);
  EXPECT_NEAR(find_number(whole.numbers, "bits_per_byte").value(), 16 * std::log2(13.0) / bytes,
              1e-6);
  // With document masks the target across the border (the first 2 of the second) is left out.
  const EvalReport masked = evaluate(R"({"data": {"document_mask": true}})");
  EXPECT_NEAR(masked.loss, std::log(13.0), 1e-6);
  EXPECT_NEAR(find_number(masked.numbers, "bits_per_byte").value(),
              15 * std::log2(13.0) / (bytes - 2), 1e-6);
  facts.token_bytes.clear();
  EXPECT_FALSE(find_number(evaluate("{}").numbers, "bits_per_byte").has_value());
}

// The reported loss is that of the library's own forward on the same batches, weighed by labels.
TEST_F(Validation, ValidationIsTheMeanOverLabels) {
  TrainLoop loop(recipe(R"({"data": {"document_mask": true}})"));
  const TokenShard shard(folder_ / "valid");
  const DataLoader loader = plain_loader(
      shard,
      {.batch_size = 1, .seq_len = 8, .vocab_size = 13, .shuffle = false, .document_mask = true});
  double sum = 0, count = 0;
  for (int64_t i = 0; i < loader.samples_per_epoch() / 2 * 2; ++i) {
    const Batch b = loader.batch(i);
    if (b.label_count == 0) continue;
    ModelInputs inputs{.rows = Rows::of(b.ids)};
    inputs.rows.positions = b.positions.reshape({b.ids.numel()});
    inputs.rows.segments = b.segments.reshape({b.ids.numel()});
    ModelPass pass(loop.model(), {});
    sum += ops::linear_cross_entropy(pass.hidden(inputs), pass.head(), b.labels, {.normalizer = 1})
               .value.item();
    count += static_cast<double>(b.label_count);
  }
  EXPECT_NEAR(loop.evaluate(1).loss, sum / count, 1e-6);
}

TEST_F(Validation, AveragedWeightsAreValidatedAndSaved) {
  const auto plain = trained("{}");
  const auto averaged = trained(R"({"train": {"ema_decay": 0.9}})");
  // The same path, but another model at its end, and in its checkpoints.
  EXPECT_NE(plain.at("model.safetensors"), averaged.at("model.safetensors"));
  EXPECT_NE(plain.at("model"), averaged.at("model"));
  EXPECT_EQ(averaged.at("model"), averaged.at("model.safetensors"));
  EXPECT_NE(plain.at("metrics"), averaged.at("metrics"));  // the last validation
}

}  // namespace
}  // namespace lathe::testing
