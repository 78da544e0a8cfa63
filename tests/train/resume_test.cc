// A run that stopped after any step and went on ends with the bits of one that never stopped.

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
  };
  for (const auto& [name, patch] : body_patches()) all.push_back({name, patch});
  for (const OptimizerInfo& o : kOptimizers) {
    all.push_back({"optimizer_" + std::string(o.name),
                   R"({"optim": {"name": ")" + std::string(o.name) + R"("}})"});
    all.push_back({"optimizer_bf16_" + std::string(o.name),
                   R"({"train": {"precision": "bf16", "ema_decay": 0.9}, "optim": {"name": ")" +
                       std::string(o.name) + R"("}})"});
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
    train(r, Trainer::Start::kResume);
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
  train(recipe(), Trainer::Start::kResume);
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
    train(recipe(), Trainer::Start::kResume);
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
  train(recipe(), Trainer::Start::kResume);
  EXPECT_EQ(result(), unbroken_);
}

TEST_F(Resume, RefusesAnotherRecipeAndLosesNothing) {
  run_unbroken(recipe());
  fall_back_to(3);
  const auto resume = [&](const char* patch) {
    return error_text([&] { train(recipe(patch), Trainer::Start::kResume); });
  };
  const std::string text = resume(R"({"optim": {"lr": 0.5}, "train": {"seed": 7, "steps": 9}})");
  EXPECT_EQ(text, fmt::format("[resume] the recipe is not the one this run began with:\n"
                              "  train.steps: 6, now 9\n"
                              "  train.seed: 1, now 7\n"
                              "  optim.lr: 0.01, now 0.5\n"
                              "Put these back, or start a new run in another train.out "
                              "(model.from = \"{}/model\" begins from its weights)",
                              out().string()));
  EXPECT_NE(resume(R"({"model": {"hidden_size": 32}})").find("[resume]"), std::string::npos)
      << resume(R"({"model": {"hidden_size": 32}})");
  EXPECT_EQ(CheckpointStore(out() / "checkpoints").steps(), (std::vector<int64_t>{1, 2, 3}));
  // What does not change the numbers may change.
  train(recipe(R"({"train": {"checkpoint_every": 2, "keep_last": 90}})"), Trainer::Start::kResume);
  EXPECT_EQ(result(), unbroken_);
}

TEST_F(Resume, RefusesOtherData) {
  run_unbroken(recipe());
  fall_back_to(3);
  write_shard(folder_ / "train", counting_documents(600, 1));
  const std::string text = error_text([&] { train(recipe(), Trainer::Start::kResume); });
  EXPECT_NE(text.find("its data changed, so it cannot go on exactly"), std::string::npos) << text;
}

TEST_F(Resume, AFinishedRunIsLeftAsItIs) {
  run_unbroken(recipe());
  fall_back_to(6);
  train(recipe(), Trainer::Start::kResume);
  EXPECT_EQ(result(), unbroken_);
  train(recipe(), Trainer::Start::kResume);
  EXPECT_EQ(result(), unbroken_);
}

}  // namespace
}  // namespace lathe::testing
