// A run around the steps: where it begins, what it writes while it goes, how it ends.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/process.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/json_file.h"
#include "lathe/io/manifest.h"
#include "lathe/model/folder.h"
#include "lathe/train/trainer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Keys whose change does not change what the remaining steps compute.
bool may_change(const std::string& key) {
  static const std::vector<std::string> kFree = {
      "out",          "checkpoint_every", "keep_last",     "keep_every",   "eval_every",
      "eval_batches", "sample_every",     "sample_prompt", "sample_tokens"};
  return std::ranges::find(kFree, key) != kFree.end();
}

// The keys in which two recipes differ, "train.seed: 1, now 2".
std::vector<std::string> differences(const Json& before, const Json& now, const std::string& path) {
  std::vector<std::string> out;
  Json all = before;
  all.update(now);
  for (const auto& [key, unused] : all.items()) {
    if (path == "train." && may_change(key)) continue;
    const Json a = before.value(key, Json()), b = now.value(key, Json());
    if (a.is_object() && b.is_object()) {
      for (auto& d : differences(a, b, path + key + ".")) out.push_back(std::move(d));
    } else if (a != b) {
      out.push_back(fmt::format("{}{}: {}, now {}", path, key, a.dump(), b.dump()));
    }
  }
  return out;
}

}  // namespace

void Trainer::refuse_used_folder() const {
  const fs::path out = recipe_.train.out;
  for (const char* name : {"metrics.jsonl", "checkpoints", "model"})
    require(!fs::exists(out / name), ErrorKind::kConfig, "train.out",
            "{} already holds a run ({} exists); add --resume to go on with it, or choose another "
            "folder with "
            "--train.out=DIR",
            out.string(), name);
}

CheckpointContent Trainer::checkpoint_content() {
  CheckpointContent content;
  for (Parameter* p : parameters_) content.model.push_back({p->name, &p->value});
  auto add = [&](const std::string& name, Tensor& t) { content.optimizer.push_back({name, &t}); };
  optimizer_->for_each_state(add);
  if (ema_) ema_->for_each_state(add);
  return content;
}

void Trainer::restore(const Json& state) {
  updates_ = state.at("updates").get<int64_t>();
  const Json& statistics = state.at("loss_statistics");
  loss_statistics_ = {statistics.at("mean").get<double>(), statistics.at("variance").get<double>(),
                      statistics.at("count").get<int64_t>()};
  for (Parameter* p : parameters_)
    if (!p->compute.shares_storage(p->value)) p->compute.copy_from(p->value);
}

int64_t Trainer::begin(Start start) {
  const fs::path out = recipe_.train.out;
  if (start == Start::kFresh) refuse_used_folder();
  fs::create_directories(out);
  if (fs::exists(out / "checkpoints"))
    for (const fs::path& path : leftover_temporaries(out / "checkpoints"))
      hooks_.log.info("removing {}: its writing was cut short", path.filename().string());
  checkpoints_.remove_leftovers();
  remove_leftovers(out);
  const Json recipe = write_recipe(recipe_);
  int64_t done = 0;
  if (start == Start::kResume) {
    const Json state =
        checkpoints_.load_newest(checkpoint_content(), hooks_.log, [&](const Json& s) {
          const auto changed = differences(s.at("recipe"), recipe, "");
          require(changed.empty(), ErrorKind::kConfig, "resume",
                  "the recipe is not the one this run began with:\n  {}\nPut these back, or start "
                  "a new run in another "
                  "train.out (model.from = \"{}/model\" begins from its weights)",
                  fmt::join(changed, "\n  "), out.string());
          require(s.at("tokens").get<int64_t>() == train_shard_->num_tokens(), ErrorKind::kData,
                  recipe_.data.train,
                  "the shard has {} tokens, the run began with {}; its data changed, so it cannot "
                  "go on exactly",
                  train_shard_->num_tokens(), s.at("tokens").get<int64_t>());
        });
    if (!state.is_null()) {
      restore(state);
      done = state.at("step").get<int64_t>();
      hooks_.log.info("resumed from step {}", done);
    } else {
      hooks_.log.info("no checkpoint in {} yet: starting from the beginning", out.string());
    }
  }
  metrics_ = std::make_unique<MetricsWriter>(out, done);
  write_json_file(out / "recipe.json", recipe);
  return done;
}

void Trainer::record_step(const StepReport& r) {
  Json record = {{"step", r.step},
                 {"loss", r.loss},
                 {"lr", r.lr},
                 {"grad_norm", r.grad_norm},
                 {"tokens", r.step * r.tokens},
                 {"flops", static_cast<double>(r.step) * r.flops},
                 {"tokens_per_s", static_cast<double>(r.tokens) / r.seconds},
                 {"step_ms", r.seconds * 1e3},
                 {"memory_mib", static_cast<double>(peak_resident_bytes()) / (1 << 20)}};
  if (hooks_.matrix_flops > 0) record["mfu"] = r.flops / r.seconds / hooks_.matrix_flops;
  if (r.routers) {
    record["moe.load_max"] = r.routers->load_max;
    record["moe.drop_rate"] = r.routers->drop_rate;
    record["moe.entropy"] = r.routers->entropy;
    record["moe.balance_loss"] = r.routers->balance_loss;
    record["moe.z_loss"] = r.routers->z_loss;
  }
  if (r.skipped) record["skipped"] = true;
  metrics_->write(record);
}

void Trainer::report_evaluation(int64_t step) {
  if (!valid_loader_) return;
  const EvalReport report = evaluate(step);
  Json record = {{"step", step}, {"val_loss", report.loss}};
  if (report.bits_per_byte) record["val_bits_per_byte"] = *report.bits_per_byte;
  metrics_->write(record);
  if (hooks_.on_eval) hooks_.on_eval(report);
}

void Trainer::write_sample(int64_t step) {
  if (!hooks_.sample) return;
  std::optional<EmaScope> averaged;
  use_averages(averaged);
  const std::string text = hooks_.sample(*model_);
  metrics_->write({{"step", step}, {"sample", text}});
  if (hooks_.on_sample) hooks_.on_sample(step, text);
}

void Trainer::save_checkpoint(int64_t step) {
  Json state = {{"format", 1},
                {"updates", updates_},
                {"tokens", train_shard_->num_tokens()},
                {"loss_statistics",
                 {{"mean", loss_statistics_.mean},
                  {"variance", loss_statistics_.variance},
                  {"count", loss_statistics_.count}}},
                {"recipe", write_recipe(recipe_)}};
  checkpoints_.save(step, checkpoint_content(), std::move(state));
}

double Trainer::finish_checkpoint() {
  checkpoints_.finish();
  return checkpoints_.write_seconds();
}

void Trainer::after_step(int64_t step) {
  const TrainConfig& t = recipe_.train;
  const bool last = step == t.steps;
  auto due = [&](int64_t every) { return last || (every > 0 && step % every == 0); };
  if (due(t.eval_every)) report_evaluation(step);
  if (t.sample_every > 0 && due(t.sample_every)) write_sample(step);
  const bool stop = !last && hooks_.should_stop && hooks_.should_stop();
  if (stop || due(t.checkpoint_every)) {
    metrics_->flush();
    save_checkpoint(step);
  }
  if (stop || last) finish_checkpoint();
  require(!stop, ErrorKind::kInterrupted, "train",
          "stopped after step {} of {}; the same command with --resume goes on", step, t.steps);
}

void Trainer::write_model() {
  std::optional<EmaScope> averaged;
  use_averages(averaged);
  const fs::path target = fs::path(recipe_.train.out) / "model";
  AtomicDirectory folder(target, AtomicDirectory::IfExists::kReplace);
  save_model(*model_, folder.temporary(),
             {.dtype = DType::kF32, .like = recipe_.from.value_or("")});
  Manifest manifest = new_manifest("model", hooks_.command);
  manifest.seed = recipe_.train.seed;
  manifest.recipe = write_recipe(recipe_).dump();
  manifest.facts = Json{{"steps", recipe_.train.steps}, {"updates", updates_}}.dump();
  add_input(manifest, recipe_.data.train, "shard");
  if (recipe_.data.valid) add_input(manifest, *recipe_.data.valid, "shard");
  if (recipe_.from) add_input(manifest, *recipe_.from, "model");
  if (recipe_.data.tokenizer) {
    const fs::path tokenizer = *recipe_.data.tokenizer;
    add_input(manifest, tokenizer, "tokenizer");
    if (fs::is_directory(tokenizer)) {
      copy_tokenizer_files(tokenizer, folder.temporary());
    } else if (tokenizer.extension() == ".json") {
      fs::copy_file(tokenizer, folder.temporary() / "tokenizer.json",
                    fs::copy_options::overwrite_existing);
    }
  }
  add_outputs_of_folder(manifest, folder.temporary());
  write_manifest(manifest_path(folder.temporary(), true), manifest, manifest_path(target, true));
  folder.commit();
}

void Trainer::train(Start start) {
  for (int64_t s = begin(start) + 1; s <= recipe_.train.steps; ++s) {
    const StepReport report = step(s);
    record_step(report);
    if (hooks_.on_step) hooks_.on_step(report);
    after_step(s);
  }
  write_model();
  metrics_->flush();
}

void Trainer::run(Start start) {
  try {
    train(start);
  } catch (...) {
    // The checkpoint being written is completed. What ended the run is the error to throw; one of
    // the write must not be lost beside it.
    try {
      finish_checkpoint();
    } catch (const std::exception& error) {
      hooks_.log.warn("the newest checkpoint could not be written: {}", error.what());
    }
    throw;
  }
}

}  // namespace lathe
