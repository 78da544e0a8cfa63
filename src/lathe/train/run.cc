// A run around the steps: where it begins, what it writes while it goes, how it ends.

#include <chrono>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/process.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/folder_lock.h"
#include "lathe/io/json_file.h"
#include "lathe/io/output_folder.h"
#include "lathe/train/train_loop.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kTasksMeasured = "eval_seconds";

std::shared_ptr<const LoraAdapter> measurable_adapter(Task& task) {
  try {
    return task.adapter_for_engine();
  } catch (const Error& error) {
    fail(error.kind(), "eval.tasks",
         "cannot be measured on this adapter ({}); leave them out, and measure a checkpoint that "
         "`lathe merge` made a model of",
         error.what());
  }
}

}  // namespace

void TrainLoop::refuse_used_folder() const {
  const fs::path out = recipe_.train.out;
  for (const char* name : {"metrics.jsonl", "checkpoints", "model", "adapter"})
    require(!fs::exists(out / name), ErrorKind::kConfig, "train.out",
            "{} already holds a run ({} exists); add --resume to continue it, or choose another "
            "folder with --train.out=DIR",
            out.string(), name);
}

bool TrainLoop::is_due(int64_t step, int64_t every) const {
  return step == recipe_.train.steps || (every > 0 && step % every == 0);
}

int64_t TrainLoop::begin(Start start, std::optional<int64_t> from_step) {
  const fs::path out = recipe_.train.out;
  if (fs::exists(out / "checkpoints"))
    for (const fs::path& path : leftover_temporaries(out / "checkpoints"))
      callbacks_.log.info("removing {}, which was not written completely",
                          path.filename().string());
  checkpoints_.remove_leftovers();
  remove_leftovers(out);
  // Refused now rather than at the end of the run, when it holds something else.
  make_output_folder({.path = out / task_->result_name(), .overwrite = true});
  check();
  if (!recipe_.eval.tasks.empty()) {
    measurable_adapter(*task_);  // refused now rather than at the first measurement
    tasks_ = std::make_unique<InRunEvaluation>(recipe_.eval, recipe_.tokenizer(), callbacks_.log);
  }
  progress_.taken = start == Start::kFresh ? 0 : load_checkpoint(start, from_step);
  if (hours_) {  // of a run that begins; one that goes on keeps the steps that it had
    recipe_.train.steps = steps_in(*hours_);
    callbacks_.log.info("{} hours are about {} steps", *hours_, recipe_.train.steps);
    hours_.reset();
  }
  const int64_t warmup = recipe_.schedule.warmup(recipe_.schedule.span(recipe_.train.steps));
  if (warmup > recipe_.train.steps)
    callbacks_.log.warn(
        "the warm-up of {} steps is not over when the run ends after {}: the learning rate never "
        "reaches optim.lr; set schedule.warmup_steps lower",
        warmup, recipe_.train.steps);
  metrics_ = std::make_unique<MetricsWriter>(out, progress_.taken);
  task_->begin(out, progress_.taken);
  write_json_file(out / "recipe.json", write_recipe(recipe_));
  return progress_.taken;
}

void TrainLoop::record_step(const StepReport& r) {
  Json record = {{"step", r.step},
                 {"loss", r.loss},
                 {"lr", r.lr},
                 {"grad_norm", r.grad_norm},
                 {"tokens", r.tokens_so_far},
                 {"flops", r.flops_so_far},
                 {"tokens_per_s", static_cast<double>(r.tokens) / r.seconds},
                 {"step_ms", r.seconds * 1e3},
                 {"memory_mib", static_cast<double>(peak_resident_bytes()) / (1 << 20)}};
  if (facts_.matrix_flops > 0) record["mfu"] = r.flops / r.seconds / facts_.matrix_flops;
  for (const auto& [name, value] : r.numbers) record[name] = value;
  if (r.skipped) record["skipped"] = true;
  metrics_->write(record);
  seconds_per_token_ = r.seconds / static_cast<double>(std::max<int64_t>(1, r.tokens));
}

void TrainLoop::report_evaluation(int64_t step) {
  if (!task_->evaluates()) return;
  const EvalReport report = evaluate(step);
  Json record = {{"step", step}, {"val_loss", report.loss}};
  for (const auto& [name, value] : report.numbers) record["val_" + name] = value;
  metrics_->write(record);
  if (callbacks_.on_eval) callbacks_.on_eval(report);
}

// Of `step` 0 before the first, and of the last.
void TrainLoop::report_old_losses(int64_t step) {
  std::optional<EmaScope> averaged;
  use_averages(averaged);
  const NamedNumbers losses = task_->old_losses([this] { stop_if_asked(); });
  if (losses.empty() || metrics_->has_of("old_loss." + losses[0].first, step)) return;
  Json record = {{"step", step}};
  for (const auto& [name, loss] : losses) {
    record["old_loss." + name] = loss;
    callbacks_.log.info(
        "{}: loss on {} (data.replay_valid) {:.4f}",
        step == 0 ? std::string("before the first step") : fmt::format("after step {}", step), name,
        loss);
  }
  metrics_->write(record);
}

// What the run begins from.
void TrainLoop::measure_the_start() {
  report_old_losses(0);
  if (recipe_.train.eval_on_start && !metrics_->has_of("val_loss", 0)) report_evaluation(0);
}

void TrainLoop::write_sample(int64_t step) {
  std::optional<EmaScope> averaged;
  use_averages(averaged);
  const std::optional<std::string> text = task_->sample(step);
  if (!text) return;
  metrics_->write({{"step", step}, {"sample", *text}});
  if (callbacks_.on_sample) callbacks_.on_sample(step, *text);
}

double TrainLoop::finish_checkpoint() {
  checkpoints_.finish();
  return checkpoints_.write_seconds();
}

NamedNumbers TrainLoop::measure(InRunEvaluation& tasks) {
  std::optional<EmaScope> averaged;
  use_averages(averaged);
  return tasks.measure(model(), measurable_adapter(*task_), [this] { stop_if_asked(); });
}

void TrainLoop::measure_tasks(int64_t step) {
  const int64_t every = recipe_.eval.every > 0 ? recipe_.eval.every : recipe_.train.eval_every;
  if (!tasks_ || !is_due(step, every) || metrics_->has_of(kTasksMeasured, step)) return;
  if (step != recipe_.train.steps && !tasks_->affordable(seconds_per_token_)) return;
  Json record = {{"step", step}};
  const auto start = std::chrono::steady_clock::now();
  const NamedNumbers numbers = measure(*tasks_);
  for (const auto& [name, value] : numbers) record[name] = value;
  record[kTasksMeasured] =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  metrics_->write(record);
  if (callbacks_.on_tasks) callbacks_.on_tasks(step, numbers);
}

void TrainLoop::validate_and_sample(int64_t step) {
  const TrainConfig& t = recipe_.train;
  if (is_due(step, t.eval_every) && metrics_->last_with("val_loss") < step) {
    report_evaluation(step);
    keep_if_best(step);
  }
  measure_tasks(step);
  if (t.sample_every > 0 && is_due(step, t.sample_every) && metrics_->last_with("sample") < step)
    write_sample(step);
}

// Saved first: what fails or is killed in a validation loses no step.
void TrainLoop::after_step(int64_t step) {
  const TrainConfig& t = recipe_.train;
  if (is_due(step, t.checkpoint_every)) {
    metrics_->flush();
    save_checkpoint(step);
  }
  if (step == t.steps) finish_checkpoint();
  validate_and_sample(step);
}

bool TrainLoop::is_saved(int64_t step) const {
  const std::vector<int64_t> saved = checkpoints_.steps();
  return std::ranges::find(saved, step) != saved.end();
}

void TrainLoop::keep_if_best(int64_t step) {
  if (!recipe_.train.keep_best || !task_->evaluates()) return;
  const auto best = metrics_->best_validation();
  if (!best || best->step != step) return;
  finish_checkpoint();
  if (!is_saved(step)) {
    save_checkpoint(step);
    finish_checkpoint();
  }
  checkpoints_.mark_best(step);
}

bool TrainLoop::is_out_of_patience() const {
  const auto best = metrics_->best_validation();
  return recipe_.train.patience > 0 && best && best->since >= recipe_.train.patience;
}

void TrainLoop::train(Start start, std::optional<int64_t> from_step) {
  int64_t s = begin(start, from_step);
  if (callbacks_.on_start) callbacks_.on_start();
  if (s == 0) measure_the_start();
  if (s > 0) validate_and_sample(s);  // what a kill between saving and validating left out
  for (++s; s <= recipe_.train.steps && !is_out_of_patience(); ++s) {
    const StepReport report = step(s);
    record_step(report);
    task_->record(s);
    if (callbacks_.on_step) callbacks_.on_step(report);
    count_skipped(report);
    after_step(s);
  }
  if (s <= recipe_.train.steps) end_early();
  report_old_losses(progress_.taken);
  write_model();
  metrics_->flush();
}

void TrainLoop::end_early() {
  const auto best = metrics_->best_validation();
  callbacks_.log.info(
      "ended after step {} of {}: {} validations in a row had no lower loss than the {:.4f} of "
      "step {}{}",
      progress_.taken, recipe_.train.steps, best->since, best->loss, best->step,
      recipe_.train.keep_best && best->step > 0 ? ", whose weights are in checkpoints/best" : "");
  finish_checkpoint();
  if (is_saved(progress_.taken)) return;
  save_checkpoint(progress_.taken);
  finish_checkpoint();
}

void TrainLoop::write_model() {
  const std::string kind(task_->result_name());
  lineage_.write_result(kind, recipe_, fs::path(recipe_.train.out) / kind,
                        {.steps = progress_.taken,
                         .updates = progress_.updates,
                         .tokens = progress_.tokens,
                         .flops = progress_.flops},
                        [this](const fs::path& folder) {
                          task_->write_result(folder, state_.values(true), lineage_.files);
                        });
  task_->write(recipe_.train.out);
}

// The last step whose update was finished, unless the weights failed or stand between two steps.
void TrainLoop::save_what_can_be_saved() {
  try {
    finish_checkpoint();
  } catch (const std::exception& error) {  // the error that ended the run is the one to throw
    callbacks_.log.warn("the newest checkpoint could not be written: {}", error.what());
  }
  if (updating_ || progress_.taken == 0 || is_saved(progress_.taken)) return;
  try {
    save_checkpoint(progress_.taken);
    finish_checkpoint();
    callbacks_.log.info("step {} is saved; --resume continues from there", progress_.taken);
  } catch (const std::exception& error) {
    callbacks_.log.warn("step {} could not be saved: {}", progress_.taken, error.what());
  }
}

void TrainLoop::run(Start start, std::optional<int64_t> from_step) {
  if (start == Start::kFresh) refuse_used_folder();
  fs::create_directories(recipe_.train.out);
  const FolderLock lock(recipe_.train.out);
  try {
    train(start, from_step);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kNumeric) throw;
    save_what_can_be_saved();
    throw;
  } catch (...) {
    save_what_can_be_saved();
    throw;
  }
}

}  // namespace lathe
