// A run that stopped after any step and went on ends with the bits of one that never stopped.

#include "lathe/base/parallel.h"
#include "lathe/config/read_write.h"
#include "lathe/io/manifest.h"
#include "lathe/optim/optimizers.h"
#include "train/run.h"

namespace lathe::testing {
namespace {

struct Setting {
  std::string name, patch;
};
std::ostream& operator<<(std::ostream& out, const Setting& s) { return out << s.name; }

std::vector<Setting> settings() {
  std::vector<Setting> all = {
      {"plain", "{}"},
      {"bf16", R"({"train": {"precision": "bf16"}})"},
      {"dropout", R"({"model": {"hidden_dropout": 0.2, "attention_dropout": 0.1}})"},
      {"accumulation", R"({"train": {"grad_accumulation": 3}})"},
      {"average", R"({"train": {"ema_decay": 0.8}})"},
      {"spike_skip", R"({"train": {"spike_skip": 0.1, "steps": 40}, "optim": {"lr": 1e-5}})"},
      {"document_mask", R"({"data": {"document_mask": true}})"},
      {"sequential", R"({"data": {"order": "sequential"}})"},
      {"epochs", R"({"train": {"batch_size": 31}})"},
      {"mtp", R"({"model": {"model_type": "lathe", "num_nextn_predict_layers": 2},
                      "data": {"document_mask": true}})"},
  };
  for (const auto& [name, patch] : body_patches()) all.push_back({name, patch});
  for (const OptimizerEntry& o : optimizers()) {
    all.push_back({"optimizer_" + std::string(o.name),
                   R"({"optim": {"name": ")" + std::string(o.name) + R"("}})"});
    all.push_back({"optimizer_bf16_" + std::string(o.name),
                   R"({"train": {"precision": "bf16", "ema_decay": 0.9}, "optim": {"name": ")" +
                       std::string(o.name) + R"("}})"});
    all.push_back({"optimizer_paged_" + std::string(o.name),
                   R"({"optim": {"paged": true, "name": ")" + std::string(o.name) + R"("}})"});
  }
  return all;
}

class Resume : public Run {
 protected:
  // The state of a run that was killed some time after its checkpoint of `step`.
  void fall_back_to(int64_t step) {
    start_over();
    fs::copy(folder_ / "unbroken", out(), fs::copy_options::recursive);
    fs::remove_all(out() / "model");
    for (int64_t s : CheckpointStore(out() / "checkpoints").steps())
      if (s > step) fs::remove_all(checkpoint(s));
  }
  void run_unbroken(const Recipe& r) {
    train(r);
    unbroken_ = result();
    fs::remove_all(folder_ / "unbroken");
    fs::rename(out(), folder_ / "unbroken");
  }
  std::map<std::string, std::string> unbroken_;
};

class ResumeAll : public Resume, public ::testing::WithParamInterface<Setting> {};

TEST_P(ResumeAll, GivesTheSameBitsFromEveryStep) {
  const Recipe r = recipe(GetParam().patch.c_str());
  run_unbroken(r);
  const int64_t steps = r.train.steps;
  const int64_t first = std::max<int64_t>(0, steps - 20);
  for (int64_t step = first; step <= steps; ++step) {
    fall_back_to(step);
    train(r, TrainLoop::Start::kResume);
    EXPECT_EQ(result(), unbroken_) << "resumed after step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(, ResumeAll, ::testing::ValuesIn(settings()),
                         [](const auto& each) { return each.param.name; });

TEST_F(Resume, SpikeSkippingSkipsInTheTestAbove) {
  train(recipe(R"({"train": {"spike_skip": 0.1, "steps": 40}, "optim": {"lr": 1e-5}})"));
  int skipped = 0;
  for (const Json& line : metrics()) skipped += line.contains("skipped");
  EXPECT_GT(skipped, 0);
}

TEST_F(Resume, BeginsWhenThereIsNothingYet) {
  run_unbroken(recipe());
  train(recipe(), TrainLoop::Start::kResume);
  EXPECT_EQ(result(), unbroken_);
  EXPECT_NE(log_.find("no checkpoint in"), std::string::npos) << log_;
}

TEST_F(Resume, GoesBackPastADamagedCheckpoint) {
  run_unbroken(recipe());
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "state.json"}) {
    fall_back_to(4);
    damage(checkpoint(4) / name, 700);
    truncate(checkpoint(3) / name, 0.6);
    log_.clear();
    train(recipe(), TrainLoop::Start::kResume);
    EXPECT_EQ(result(), unbroken_) << name;
    EXPECT_NE(log_.find("step-00000004 cannot be used"), std::string::npos) << log_;
    EXPECT_NE(log_.find("step-00000003 cannot be used"), std::string::npos) << log_;
    EXPECT_NE(log_.find("resumed from step 2"), std::string::npos) << log_;
  }
}

TEST_F(Resume, KeepsNothingOfALineCutShort) {
  run_unbroken(recipe());
  fall_back_to(3);
  const fs::path file = out() / "metrics.jsonl";
  fs::resize_file(file, fs::file_size(file) - 20);
  train(recipe(), TrainLoop::Start::kResume);
  EXPECT_EQ(result(), unbroken_);
}

TEST_F(Resume, RefusesAnotherRecipeAndLosesNothing) {
  run_unbroken(recipe());
  fall_back_to(3);
  const auto resume = [&](const char* patch) {
    return error_text([&] { train(recipe(patch), TrainLoop::Start::kResume); });
  };
  // The cosine of a longer run would have begun otherwise.
  const char* patch = R"({"optim": {"lr": 0.5}, "train": {"seed": 7, "steps": 9}})";
  EXPECT_EQ(resume(patch),
            fmt::format("[resume] the recipe is not the one that this run started with:\n"
                        "  train.steps: 6, now 9\n"
                        "  train.seed: 1, now 7\n"
                        "  optim.lr: 0.01, now 0.5\n"
                        "Restore these keys; or add --branch to continue from step 3 with them, "
                        "which the lineage will record; or start a new run in another train.out "
                        "(model.from = \"{}\" starts from its weights)",
                        checkpoint(3).string()));
  EXPECT_EQ(resume(R"({"model": {"hidden_size": 32}, "optim": {"name": "lion"}})"),
            "[resume] the weights and the state of the optimiser belong to another recipe:\n"
            "  model.hidden_size: 16, now 32\n"
            "  optim.name: \"adamw\", now \"lion\"\n"
            "Restore these keys, or start a new run with another train.out");
  EXPECT_EQ(resume(R"({"train": {"steps": 2}})"),
            "[train.steps] the run has already taken 3 steps, more than 2; give at least as many");
  EXPECT_EQ(CheckpointStore(out() / "checkpoints").steps(), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(metrics().size(), 7u);

  // Each piece of advice works: --branch,
  train(recipe(patch), TrainLoop::Start::kBranch);
  const Json facts = Json::parse(read_manifest(out() / "model/lathe.manifest.json").facts);
  EXPECT_EQ(facts.at("branches").dump(),
            R"(["after step 3: train.steps: 6, now 9","after step 3: train.seed: 1, now 7",)"
            R"("after step 3: optim.lr: 0.01, now 0.5"])");
  EXPECT_EQ(metrics().back().at("step"), 9);
  // what was a branch is now the recipe, and stays in the lineage,
  train(recipe(patch), TrainLoop::Start::kResume);
  EXPECT_EQ(Json::parse(read_manifest(checkpoint(9) / "lathe.manifest.json").facts).at("branches"),
            facts.at("branches"));
  // another folder that begins from the checkpoint,
  Json other = recipe_;
  other["model"] = {{"from", checkpoint(3).string()}};
  other["train"]["out"] = (folder_ / "other").string();
  train(read_recipe(other));
  EXPECT_TRUE(fs::exists(folder_ / "other/model"));
  // and the old recipe.
  fall_back_to(3);
  train(recipe(), TrainLoop::Start::kResume);
  EXPECT_EQ(result(), unbroken_);
}

// No bit of the remaining steps depends on these.
TEST_F(Resume, SomeKeysAreFree) {
  run_unbroken(recipe());
  for (const char* patch :
       {R"({"train": {"checkpoint_every": 2, "keep_last": 90}})", R"({"train": {"keep_every": 3}})",
        R"({"train": {"recompute": "full"}})", R"({"train": {"recompute": "none"}})",
        R"({"data": {"valid": null}})", R"({"model": {"initializer_range": 0.5}})",
        R"({"train": {"max_skipped": 3}})", R"({"schedule": {"steps": 6}})",
        R"({"schedule": {"decay_fraction": 0.5}})"}) {
    SCOPED_TRACE(patch);
    fall_back_to(3);
    train(recipe(patch), TrainLoop::Start::kResume);
    EXPECT_EQ(result().at("model"), unbroken_.at("model"));
    EXPECT_FALSE(
        Json::parse(read_manifest(out() / "model/lathe.manifest.json").facts).contains("branches"));
  }
  // A shard elsewhere with the same content.
  fall_back_to(3);
  for (const char* extension : {".bin", ".idx"})
    fs::copy(folder_.path() / (std::string("train") + extension),
             folder_.path() / (std::string("moved") + extension));
  recipe_["data"]["train"] = (folder_ / "moved").string();
  train(recipe(), TrainLoop::Start::kResume);
  EXPECT_EQ(result().at("model"), unbroken_.at("model"));
}

// Every key has been thought of: those that are not free are of the model, or change the steps.
TEST_F(Resume, EveryKeySaysWhatAChangeMeans) {
  std::map<OnResume, int> count;
  Recipe r = recipe();
  for (const FieldInfo& field : describe(r)) {
    ++count[field.on_resume];
    if (field.on_resume != OnResume::kAnother) continue;
    EXPECT_TRUE(field.key.starts_with("model.") || field.key == "train.device" ||
                field.key == "optim.name")
        << field.key;
  }
  EXPECT_EQ(count.size(), 4u);
}

TEST_F(Resume, ARunIsMadeLongerWhereItsPastIsTheSame) {
  for (const char* schedule :
       {R"({"name": "constant"})", R"({"name": "inverse_sqrt"})",
        R"({"name": "wsd", "decay_fraction": 0.3})", R"({"name": "cosine", "steps": 20})",
        R"({"name": "linear", "steps": 9, "warmup_steps": 4})"}) {
    SCOPED_TRACE(schedule);
    Json tree = recipe_;
    tree["schedule"] = Json::parse(schedule);
    tree["train"]["steps"] = 9;
    start_over();
    run_unbroken(read_recipe(tree));
    tree["train"]["steps"] = 6;
    start_over();
    train(read_recipe(tree));
    for (int64_t s : {5, 6}) fs::remove_all(checkpoint(s));  // before the decay of wsd
    tree["train"]["steps"] = 9;
    train(read_recipe(tree), TrainLoop::Start::kResume);
    EXPECT_EQ(result().at("model"), unbroken_.at("model"));
    EXPECT_EQ(result().at("optimizer.safetensors"), unbroken_.at("optimizer.safetensors"));
  }
  // Within its decay it is a branch.
  Json tree = recipe_;
  tree["schedule"] = Json::parse(R"({"name": "wsd", "decay_fraction": 0.5})");
  start_over();
  train(read_recipe(tree));
  tree["train"]["steps"] = 9;
  EXPECT_NE(
      error_text([&] { train(read_recipe(tree), TrainLoop::Start::kResume); }).find("--branch"),
      std::string::npos);
  train(read_recipe(tree), TrainLoop::Start::kBranch);
}

// A finished run is made longer from before its decay; what came after is set aside.
TEST_F(Resume, GoesOnFromAnEarlierCheckpoint) {
  const char* longer = R"({"schedule": {"name": "wsd", "decay_fraction": 0.5},
                           "train": {"steps": 12}})";
  run_unbroken(recipe(longer));
  start_over();
  train(recipe(R"({"schedule": {"name": "wsd", "decay_fraction": 0.5}})"));
  const auto resume = [&](std::optional<int64_t> from_step) {
    TrainLoop(recipe(longer), logging()).run(TrainLoop::Start::kResume, from_step);
  };
  EXPECT_NE(error_text([&] { resume({}); }).find("--branch"), std::string::npos);
  EXPECT_EQ(error_text([&] { resume(9); }),
            fmt::format("[from-step] there is no checkpoint of step 9 in {}; checkpoints exist for "
                        "step 1, 2, 3, 4, 5, 6",
                        out().string()));
  EXPECT_EQ(CheckpointStore(out() / "checkpoints").steps().size(), 6u);
  resume(3);
  EXPECT_EQ(result(), unbroken_);
  EXPECT_TRUE(fs::exists(out() / "checkpoints/aside-step-00000006"));
}

// An average begins at the weights where it is new, and is dropped where it is no longer kept.
TEST_F(Resume, AveragesComeAndGoInABranch) {
  run_unbroken(recipe());
  const std::string plain = unbroken_.at("model");
  fall_back_to(3);
  train(recipe(R"({"train": {"ema_decay": 0.8}})"), TrainLoop::Start::kBranch);
  EXPECT_NE(result().at("model"), plain);
  for (int64_t s : {5, 6}) fs::remove_all(checkpoint(s));
  train(recipe(), TrainLoop::Start::kBranch);
  EXPECT_EQ(result().at("model"), plain);
}

// Whatever the steps of a branch hold, what was taken before them stays taken.
TEST_F(Resume, TokensAndFlopsAddUpAcrossABranch) {
  run_unbroken(recipe());
  fall_back_to(3);
  const auto before = metrics();
  const double tokens = before[2].at("tokens"), flops = before[2].at("flops");
  const Recipe shorter = recipe(R"({"train": {"seq_len": 4}})");
  TrainLoop loop(shorter);
  loop.run(TrainLoop::Start::kBranch);
  EXPECT_TRUE(loop.documents_seen().empty());
  const double each =
      static_cast<double>(shorter.train.batch_size * 4 * shorter.train.grad_accumulation);
  double last_flops = flops;
  for (const Json& line : metrics()) {
    if (!line.contains("loss") || line.at("step") <= 3) continue;
    const double steps = line.at("step").get<double>() - 3;
    EXPECT_EQ(line.at("tokens"), tokens + steps * each);
    EXPECT_GT(line.at("flops"), last_flops);
    last_flops = line.at("flops");
  }
}

TEST_F(Resume, AFinishedRunIsNoBranch) {
  train(recipe());
  const auto finished = result();
  const std::string text =
      error_text([&] { train(recipe(R"({"optim": {"lr": 0.5}})"), TrainLoop::Start::kBranch); });
  EXPECT_NE(text.find("all 6 steps have been taken"), std::string::npos) << text;
  EXPECT_EQ(result(), finished);
  // What it advises.
  TrainLoop(recipe(R"({"optim": {"lr": 0.5}})")).run(TrainLoop::Start::kBranch, 3);
  train(recipe(R"({"optim": {"lr": 0.5}, "train": {"steps": 7}})"), TrainLoop::Start::kBranch);
  EXPECT_EQ(metrics().back().at("step"), 7);
}

TEST_F(Resume, TheWeightOfALoneShardMeansNothing) {
  run_unbroken(recipe());
  fall_back_to(3);
  recipe_["data"]["train"] = {recipe_["data"]["train"].get<std::string>() + ":0.4"};
  train(recipe(), TrainLoop::Start::kResume);
  EXPECT_EQ(result(), unbroken_);
}

TEST_F(Resume, RefusesOtherData) {
  run_unbroken(recipe());
  fall_back_to(3);
  Documents documents = counting_documents(500, 1);
  documents[2][0] = (documents[2][0] + 1) % 13;  // as many tokens as before
  write_shard(folder_ / "train", documents);
  const std::string text = error_text([&] { train(recipe(), TrainLoop::Start::kResume); });
  EXPECT_NE(text.find("its content is not what the run started with"), std::string::npos) << text;
  train(recipe(), TrainLoop::Start::kBranch);
  EXPECT_NE(read_manifest(out() / "model/lathe.manifest.json").facts.find("its content changed"),
            std::string::npos);
}

TEST_F(Resume, AnotherNumberOfThreadsIsTold) {
  train(recipe());
  fs::remove_all(checkpoint(6));
  const int before = thread_count();
  set_thread_count(before + 1);
  log_.clear();
  train(recipe(), TrainLoop::Start::kResume);
  set_thread_count(before);
  EXPECT_NE(log_.find(fmt::format("--threads {} avoids this", before)), std::string::npos) << log_;
}

// Killed between the checkpoint and the validation that follows it.
TEST_F(Resume, AValidationThatAKillLeftOutIsMade) {
  run_unbroken(recipe(R"({"train": {"eval_every": 3}})"));
  fall_back_to(3);
  const auto lines = metrics();
  std::ofstream file(out() / "metrics.jsonl");
  for (const Json& line : lines)
    if (line.at("step") <= 3 && !line.contains("val_loss")) file << line.dump() << "\n";
  file.close();
  train(recipe(R"({"train": {"eval_every": 3}})"), TrainLoop::Start::kResume);
  EXPECT_EQ(result(), unbroken_);
}

TEST_F(Resume, AFinishedRunIsLeftAsItIs) {
  run_unbroken(recipe());
  fall_back_to(6);
  train(recipe(), TrainLoop::Start::kResume);
  EXPECT_EQ(result(), unbroken_);
  train(recipe(), TrainLoop::Start::kResume);
  EXPECT_EQ(result(), unbroken_);
}

}  // namespace
}  // namespace lathe::testing
