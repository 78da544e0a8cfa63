#include "lathe/train/train_loop.h"

#include <cmath>

#include "lathe/io/folder_lock.h"
#include "lathe/model/load_model.h"
#include "lathe/optim/optimizers.h"
#include "train/run.h"

namespace lathe::testing {
namespace {

class Training : public Run {};

TEST_F(Training, TwoRunsGiveTheSameBits) {
  for (const char* patch : {R"({})", R"({"train": {"precision": "bf16"}})",
                            R"({"train": {"grad_accumulation": 2, "ema_decay": 0.9},
            "model": {"hidden_dropout": 0.1, "attention_dropout": 0.1}})"}) {
    const auto first = trained(patch);
    EXPECT_EQ(first, trained(patch)) << patch;
    EXPECT_GT(first.at("model").size(), 1000u);
    Json other = Json::parse(patch);
    other["train"]["seed"] = 2;
    EXPECT_NE(first.at("model"), trained(other.dump().c_str()).at("model")) << patch;
  }
}

TEST_F(Training, RecomputingGivesTheSameBits) {
  for (const char* precision : {"fp32", "bf16"}) {
    const auto with = [&](const char* recompute) {
      Json patch = {{"train", {{"precision", precision}, {"recompute", recompute}}},
                    {"model", {{"hidden_dropout", 0.1}, {"attention_dropout", 0.2}}}};
      return trained(patch.dump().c_str());
    };
    const auto none = with("none");
    EXPECT_EQ(none, with("selective")) << precision;
    EXPECT_EQ(none, with("full")) << precision;
  }
}

// Two micro-batches of 2 are one batch of 4, up to rounding, whatever labels each has.
TEST_F(Training, AccumulationIsALargerBatch) {
  for (const char* mask : {"false", "true"}) {
    const auto losses = [&](int batch, int accumulation) {
      const Json patch = {
          {"data", {{"document_mask", Json::parse(mask)}}},
          {"train",
           {{"batch_size", batch}, {"grad_accumulation", accumulation}, {"device", "ref"}}}};
      trained(patch.dump().c_str());
      std::vector<double> all;
      for (const Json& line : metrics())
        if (line.contains("loss"))
          all.push_back(line["loss"].get<double>() + line["grad_norm"].get<double>());
      return all;
    };
    const auto whole = losses(4, 1), parts = losses(2, 2), rows = losses(1, 4);
    ASSERT_EQ(whole.size(), 6u);
    for (size_t i = 0; i < whole.size(); ++i) {
      EXPECT_NEAR(whole[i], parts[i], 1e-6);
      EXPECT_NEAR(whole[i], rows[i], 1e-6);
    }
  }
}

TEST_F(Training, MetricsHoldEveryStepOnce) {
  train(recipe(R"({"train": {"eval_every": 4}})"));
  std::vector<int64_t> steps, validated;
  for (const Json& line : metrics()) {
    if (line.contains("val_loss")) {
      validated.push_back(line["step"]);
      continue;
    }
    steps.push_back(line["step"]);
    EXPECT_TRUE(std::isfinite(line["loss"].get<double>()));
    EXPECT_GT(line["grad_norm"].get<double>(), 0);
    EXPECT_EQ(line["tokens"].get<int64_t>(), steps.back() * 16);
  }
  EXPECT_EQ(steps, (std::vector<int64_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(validated, (std::vector<int64_t>{4, 6}));
  EXPECT_EQ(metrics()[0]["lr"], 0.005);  // warm-up of two steps
  EXPECT_EQ(metrics()[1]["lr"], 0.01);
}

TEST_F(Training, ARunRefusesAUsedFolder) {
  train(recipe());
  const auto before = result();
  EXPECT_EQ(error_text([&] { train(recipe()); }),
            "[train.out] " + out().string() +
                " already holds a run (metrics.jsonl exists); add --resume to continue it, or "
                "choose another folder with --train.out=DIR");
  EXPECT_EQ(result(), before);
}

TEST_F(Training, ALossThatIsNotFiniteNamesTheStep) {
  const std::string text = error_text([&] {
    train(recipe(R"({"optim": {"lr": 1e30, "grad_clip": 0}, "schedule": {"warmup_steps": 0}})"));
  });
  EXPECT_TRUE(text.starts_with("[train] step ")) << text;
  EXPECT_FALSE(fs::exists(out() / "model"));
}

// The checkpoint before the failure holds the weights that failed: going on from it would fail in
// the same way, whatever the learning rate.
TEST_F(Training, WhatANotFiniteLossAdvisesWorks) {
  for (const bool early : {true, false}) {
    SCOPED_TRACE(early);
    start_over();
    // Of the later failure, steps 1 to 3 are sound.
    if (!early) {
      EXPECT_NE(error_text([&] {
                  TrainLoop(recipe(), stopping_after(3)).run(TrainLoop::Start::kFresh);
                }).find("stopped after step 3"),
                std::string::npos);
    }
    const std::string text = error_text([&] {
      train(recipe(R"({"optim": {"lr": 1e30, "grad_clip": 0}, "schedule": {"warmup_steps": 0}})"),
            early ? TrainLoop::Start::kFresh : TrainLoop::Start::kBranch);
    });
    EXPECT_NE(text.find("continue with --resume --branch, "), std::string::npos) << text;
    EXPECT_NE(text.find(early ? "from the beginning" : "from the checkpoint of step 3"),
              std::string::npos)
        << text;
    EXPECT_EQ(CheckpointStore(out() / "checkpoints").steps(),
              early ? std::vector<int64_t>{} : (std::vector<int64_t>{1, 2, 3}));
    EXPECT_TRUE(fs::exists(out() / "checkpoints" /
                           (early ? "aside-step-00000001" : "aside-step-00000004")));
    train(recipe(R"({"optim": {"lr": 1e-3}})"), TrainLoop::Start::kBranch);
    EXPECT_TRUE(fs::exists(out() / "model"));
  }
}

TEST_F(Training, ARunThatSkipsEveryStepEnds) {
  const std::string text = error_text([&] {
    train(recipe(R"({"optim": {"lr": 1e30, "grad_clip": 0}, "schedule": {"warmup_steps": 0},
                     "train": {"spike_skip": 6, "steps": 100, "max_skipped": 5}})"));
  });
  EXPECT_NE(text.find("is number 5 in a row to be skipped"), std::string::npos) << text;
  EXPECT_NE(text.find("--resume --branch"), std::string::npos) << text;
  // Numbers that are not finite are spelled, in lines that are JSON.
  EXPECT_EQ(metrics().back().at("grad_norm"), "NaN");
  EXPECT_TRUE(std::isnan(metric_value(metrics().back(), "grad_norm").value()));
  // What it advises works: no checkpoint of the weights that fail is left to go on from.
  EXPECT_NE(text.find("from the beginning"), std::string::npos) << text;
  train(recipe(R"({"optim": {"lr": 1e-3}, "train": {"spike_skip": 6, "max_skipped": 5}})"),
        TrainLoop::Start::kBranch);
  EXPECT_TRUE(fs::exists(out() / "model"));
}

// Whatever somebody put there is no part of a model, and stays.
TEST_F(Training, AFolderOfOthersIsNotReplacedByTheModel) {
  train(recipe());
  folder_.write("out/model/notes.txt", "mine");
  fs::remove_all(checkpoint(6));
  const std::string text = error_text([&] { train(recipe(), TrainLoop::Start::kResume); });
  EXPECT_NE(text.find("it holds 'notes.txt'"), std::string::npos) << text;
  EXPECT_EQ(content_of(out() / "model/notes.txt"), "mine");
  EXPECT_EQ(CheckpointStore(out() / "checkpoints").steps().back(), 5);  // told before any step
}

TEST_F(Training, LossesOfModulesAndDenoisersAreInTheMetrics) {
  train(recipe(R"({"model": {"model_type": "lathe", "num_nextn_predict_layers": 2}})"));
  EXPECT_NEAR(metrics().front().at("mtp_loss"), std::log(13.0), 0.3);
  start_over();
  train(recipe(R"({"model": {"model_type": "lathe", "body": "encoder_decoder", "vocab_size": 20,
                             "pad_token_id": 13},
                   "objective": {"name": "ul2", "sentinels": 6}, "train": {"eval_samples": 0}})"));
  for (const char* key : {"val_loss.R", "val_loss.S", "val_loss.X"})
    EXPECT_GT(metrics().back().at(key), 0) << key;
  // A denoiser has a loss in the steps that drew one of its rows.
  std::map<std::string, int> steps_of;
  for (const Json& line : metrics())
    for (const auto& [key, value] : line.items())
      if (key.starts_with("loss.")) {
        EXPECT_NEAR(value, line.at("loss"), 1.0) << line;
        ++steps_of[key];
      }
  EXPECT_EQ(steps_of.size(), 3u);
}

TEST_F(Training, ALearningRateOfZeroByNameFreezes) {
  for (const OptimizerEntry& o : optimizers()) {
    SCOPED_TRACE(o.name);
    Json tree = recipe_;
    tree["optim"]["name"] = std::string(o.name);
    tree["optim"]["lr_by_name"] = {"layers.0.*:0", "embedding*:0"};
    tree["optim"]["decay_by_name"] = {"layers.0.*:0.5"};
    TrainLoop loop(read_recipe(tree));
    std::map<std::string, std::vector<double>> before;
    for (const Parameter* p : loop.model().parameters())
      before[p->name] = p->value.tensor().to_vector();
    for (int64_t step = 1; step <= 3; ++step) loop.step(step);
    for (const Parameter* p : loop.model().parameters()) {
      const bool frozen = p->name.starts_with("layers.0.") || p->name.starts_with("embedding");
      EXPECT_EQ(before[p->name] == p->value.tensor().to_vector(), frozen) << p->name;
    }
  }
}

TEST_F(Training, DocumentsThatWereSeenAreCounted) {
  // 3 documents of 8 tokens; a sample is 8 tokens and the label after them.
  recipe_["data"]["train"] = write_shard(
      folder_ / "three",
      {{1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3, 4, 5, 6, 7, 8}, {9}});
  recipe_["data"]["order"] = "sequential";
  recipe_["train"]["batch_size"] = 1;
  for (const int64_t steps : {1, 2, 3, 7}) {
    recipe_["train"]["steps"] = steps;
    TrainLoop loop(recipe());
    for (int64_t s = 1; s <= steps; ++s) loop.step(s);
    EXPECT_EQ(loop.documents_seen(), (std::vector<int64_t>{std::min<int64_t>(3, steps)}));
  }
}

// The logits stay nearer to zero; `loss` is the cross entropy alone, as without it.
TEST_F(Training, AZLossIsToldApartAndKeepsLogitsSmall) {
  const auto ends = [&](double z_loss) {
    start_over();
    recipe_["objective"]["z_loss"] = z_loss;
    train(recipe(R"({"train": {"steps": 40}, "optim": {"lr": 0.03}})"));
    Json last;
    for (const Json& line : metrics())
      if (line.contains("loss")) last = line;
    return std::pair(metrics().front(), last);
  };
  const auto squares = [](const Json& line, double z_loss) {
    return line.at("z_loss").get<double>() / z_loss;  // mean lse²
  };
  const auto [first_small, small] = ends(1e-9);
  const auto [first_large, large] = ends(0.1);
  // Before the first update both are the same model.
  EXPECT_NEAR(first_small.at("loss"), first_large.at("loss"), 1e-6);
  EXPECT_NEAR(squares(first_large, 0.1), squares(first_small, 1e-9), 1e-4);
  EXPECT_LT(squares(large, 0.1), 0.5 * squares(small, 1e-9));
  EXPECT_FALSE(ends(0).second.contains("z_loss"));
}

// Several shards without weights are one; with them each gives its share.
TEST_F(Training, SeveralShards) {
  const Documents documents = counting_documents(500, 1);
  const auto middle = documents.begin() + static_cast<ptrdiff_t>(documents.size() / 2);
  const std::string a = write_shard(folder_ / "a", {documents.begin(), middle}),
                    b = write_shard(folder_ / "b", {middle, documents.end()});
  const auto with = [&](const Json& list) {
    recipe_["data"]["train"] = list;
    start_over();
    train(recipe());
    return result().at("model");
  };
  const std::string equal = with({a, b});
  EXPECT_NE(with({a, b + ":0.9"}), equal);
  EXPECT_EQ(error_text([&] { with({a, b + ":1.5"}); }).find("[data.train] the weights add up"), 0u);
  EXPECT_EQ(error_text([&] { with({a, b + ":0"}); }).find("[data.train] '"), 0u);
  EXPECT_NE(error_text([&] {
              with({a, b + ":0.00001"});
            }).find("give it at least 1/4096"),
            std::string::npos);
  // Their order and weights are part of what a run is.
  with({a, b + ":0.9"});
  fs::remove_all(checkpoint(6));
  recipe_["data"]["train"] = {a, b + ":0.8"};
  EXPECT_NE(error_text([&] {
              train(recipe(), TrainLoop::Start::kResume);
            }).find("its weights are not what the run started with"),
            std::string::npos);
}

TEST_F(Training, TwoProcessesDoNotShareAFolder) {
  fs::create_directories(out());
  {
    const FolderLock other(out());
    const std::string text = error_text([&] { train(recipe()); });
    EXPECT_NE(text.find(fmt::format("is in use by process {} on ", ::getpid())), std::string::npos)
        << text;
  }
  train(recipe());
  EXPECT_FALSE(fs::exists(out() / ".lock"));
}

// Told before the first step, of either shard, wherever the id stands.
TEST_F(Training, IdsOutsideTheVocabularyAreToldAtTheStart) {
  for (const char* name : {"train", "valid"}) {
    SCOPED_TRACE(name);
    Documents documents = counting_documents(500, 1);
    documents.back().back() = kVocabulary;
    write_shard(folder_ / name, documents, kVocabulary + 1);
    const std::string text = error_text([&] { train(recipe()); });
    EXPECT_NE(text.find(std::string(name) + ".bin"), std::string::npos) << text;
    EXPECT_NE(text.find("outside the vocabulary of 13"), std::string::npos) << text;
    EXPECT_FALSE(fs::exists(out() / "metrics.jsonl"));
    write_shard(folder_ / name, counting_documents(500, 1));
    start_over();
  }
}

// A checkpoint holds what the finished model would be: the weights of its step, or their average.
TEST_F(Training, ACheckpointIsAModel) {
  std::vector<std::string> patches = {
      "{}", R"({"train": {"ema_decay": 0.9}})", R"({"train": {"precision": "bf16"}})",
      R"({"model": {"model_type": "gpt2", "num_key_value_heads": 2}})",
      R"({"model": {"model_type": "gpt_neox", "num_key_value_heads": 2}})"};
  for (const auto& [name, patch] : body_patches()) patches.push_back(patch);
  for (const std::string& patch : patches) {
    SCOPED_TRACE(patch);
    start_over();
    train(recipe(patch.c_str()));
    const auto ours = load_model(checkpoint(6), {}), theirs = load_model(out() / "model", {});
    const auto a = ours->parameters(), b = theirs->parameters();
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i)
      EXPECT_EQ(a[i]->value.tensor().to_vector(), b[i]->value.tensor().to_vector()) << a[i]->name;
    EXPECT_EQ(content_of(checkpoint(6) / "config.json"), content_of(out() / "model/config.json"));
    EXPECT_EQ(trace_lineage(checkpoint(6)).state, LineageNode::State::kIntact);
    EXPECT_EQ(trace_lineage(checkpoint(6)).parents.size(), 2u);
  }
}

TEST_F(Training, StoppingWritesACheckpoint) {
  TrainLoop loop(recipe(R"({"train": {"checkpoint_every": 0}})"), stopping_after(3));
  EXPECT_EQ(error_text([&] { loop.run(TrainLoop::Start::kFresh); }),
            "[train] stopped after step 3 of 6; the same command with --resume continues");
  EXPECT_EQ(CheckpointStore(out() / "checkpoints").steps(), (std::vector<int64_t>{3}));
  EXPECT_FALSE(fs::exists(out() / "model"));
  train(recipe(R"({"train": {"checkpoint_every": 0}})"), TrainLoop::Start::kResume);
  const auto resumed = result();
  EXPECT_EQ(resumed, trained(R"({"train": {"checkpoint_every": 0}})"));
}

TEST_F(Training, AStopWithinAStepLosesOnlyThatStep) {
  for (const char* recompute : {"none", "selective", "full"}) {
    SCOPED_TRACE(recompute);
    const std::string patch = fmt::format(
        R"({{"train": {{"steps": 3, "recompute": "{}", "checkpoint_every": 0, "eval_every": 1}}}})",
        recompute);
    start_over();
    int64_t asked = 0, stop_at = 0, taken = 0;
    TrainCallbacks callbacks;
    callbacks.should_stop = [&] { return ++asked == stop_at; };
    callbacks.on_step = [&](const StepReport& r) { taken = r.step; };
    TrainLoop(recipe(patch.c_str()), callbacks).run(TrainLoop::Start::kFresh);
    const auto unbroken = result();
    const int64_t all = asked;
    EXPECT_GT(all, 60);  // operations, not steps
    for (int64_t i = 0; i < 7; ++i) {
      start_over();
      asked = taken = 0;
      stop_at = 1 + i * (all - 1) / 6;
      const std::string text = error_text(
          [&] { TrainLoop(recipe(patch.c_str()), callbacks).run(TrainLoop::Start::kFresh); });
      EXPECT_EQ(text,
                fmt::format(
                    "[train] stopped after step {} of 3; the same command with --resume continues",
                    taken));
      EXPECT_EQ(CheckpointStore(out() / "checkpoints").steps(),
                taken == 0 ? std::vector<int64_t>{} : std::vector<int64_t>{taken});
      train(recipe(patch.c_str()), TrainLoop::Start::kResume);
      EXPECT_EQ(result(), unbroken);
    }
  }
}

TEST_F(Training, AModelThatCannotFitIsRefusedBeforeItIsMade) {
  // 4·10¹² parameters.
  const Recipe r = recipe(R"({"model": {"hidden_size": 200000, "num_attention_heads": 1000,
                              "num_key_value_heads": 1000, "intermediate_size": 800000,
                              "num_hidden_layers": 6}})");
  const std::string text = error_text([&] { TrainLoop loop(r); });
  EXPECT_NE(text.find("GiB for weights and gradients"), std::string::npos) << text;
  EXPECT_EQ(text.find("[model] "), 0u);
}

TEST_F(Training, TheFinishedFolderIsTheTrainedModel) {
  TrainLoop loop(recipe());
  loop.run(TrainLoop::Start::kFresh);
  const auto loaded = load_model(out() / "model", {});
  const auto mine = loop.model().parameters(), theirs = loaded->parameters();
  for (size_t i = 0; i < mine.size(); ++i)
    EXPECT_EQ(mine[i]->value.tensor().to_vector(), theirs[i]->value.tensor().to_vector())
        << mine[i]->name;
  EXPECT_TRUE(fs::exists(out() / "model" / "lathe.manifest.json"));
}

TEST_F(Training, BeginsFromAFolder) {
  train(recipe());
  fs::rename(out() / "model", folder_ / "base");
  Json tree = recipe_;
  tree["model"] = Json{{"from", (folder_ / "base").string()}};
  start_over();
  TrainLoop loop(read_recipe(tree));
  const auto base = load_model(folder_ / "base", {});
  const auto mine = loop.model().parameters(), theirs = base->parameters();
  for (size_t i = 0; i < mine.size(); ++i)
    EXPECT_EQ(mine[i]->value.tensor().to_vector(), theirs[i]->value.tensor().to_vector())
        << mine[i]->name;
}

// A spike is skipped: the weights stay, the step is marked, later steps go on.
TEST_F(Training, ASpikeIsSkipped) {
  // Thirty samples of one repeated token, then one of noise, then repetition again.
  std::vector<int32_t> stream(30 * 16, 4);
  for (int i = 0; i < 16; ++i) stream.push_back(static_cast<int32_t>(Rng(1).below(i, 13)));
  stream.insert(stream.end(), 5 * 16 + 1, 4);
  write_shard(folder_ / "train", {stream});
  const char* patch = R"({"data": {"order": "sequential"},
                          "train": {"steps": 35, "checkpoint_every": 0, "spike_skip": 5}})";
  std::vector<int64_t> skipped;
  TrainCallbacks callbacks;
  std::vector<double> before, after;
  TrainLoop* running = nullptr;
  callbacks.on_step = [&](const StepReport& r) {
    const auto weights = running->model().parameters().front()->value.tensor().to_vector();
    if (r.step == 30) before = weights;
    if (r.step == 31) after = weights;
    if (r.skipped) skipped.push_back(r.step);
  };
  TrainLoop loop(recipe(patch), callbacks);
  running = &loop;
  loop.run(TrainLoop::Start::kFresh);
  EXPECT_EQ(skipped, (std::vector<int64_t>{31}));
  EXPECT_EQ(before, after);
  EXPECT_EQ(metrics()[30]["skipped"], true);
}

}  // namespace
}  // namespace lathe::testing
