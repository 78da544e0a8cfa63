// A run around the steps: where it begins, what it writes while it goes, how it ends.

#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/process.h"
#include "lathe/io/atomic_file.h"
#include "lathe/io/folder_lock.h"
#include "lathe/io/json_file.h"
#include "lathe/io/output_folder.h"
#include "lathe/train/trainer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

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

bool Trainer::is_due(int64_t step, int64_t every) const {
  return step == recipe_.train.steps || (every > 0 && step % every == 0);
}

int64_t Trainer::begin(Start start, std::optional<int64_t> from_step) {
  const fs::path out = recipe_.train.out;
  if (fs::exists(out / "checkpoints"))
    for (const fs::path& path : leftover_temporaries(out / "checkpoints"))
      hooks_.log.info("removing {}: its writing was cut short", path.filename().string());
  checkpoints_.remove_leftovers();
  remove_leftovers(out);
  // Refused now rather than at the end of the run, when it holds something else.
  make_output_folder({.path = out / "model", .overwrite = true});
  check_data();
  taken_ = start == Start::kFresh ? 0 : load_checkpoint(start, from_step);
  if (hours_) {  // of a run that begins; one that goes on keeps the steps that it had
    recipe_.train.steps = steps_in(*hours_);
    hooks_.log.info("{} hours are about {} steps", *hours_, recipe_.train.steps);
    hours_.reset();
  }
  const int64_t warmup = recipe_.schedule.warmup(recipe_.schedule.span(recipe_.train.steps));
  if (warmup > recipe_.train.steps)
    hooks_.log.warn(
        "the warm-up of {} steps is not over when the run ends after {}: the learning rate never "
        "reaches optim.lr; set schedule.warmup_steps lower",
        warmup, recipe_.train.steps);
  metrics_ = std::make_unique<MetricsWriter>(out, taken_);
  write_json_file(out / "recipe.json", write_recipe(recipe_));
  return taken_;
}

void Trainer::record_step(const StepReport& r) {
  Json record = {{"step", r.step},
                 {"loss", r.loss},
                 {"lr", r.lr},
                 {"grad_norm", r.grad_norm},
                 {"tokens", r.tokens_so_far},
                 {"flops", r.flops_so_far},
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
  if (r.mtp_loss) record["mtp_loss"] = *r.mtp_loss;
  if (r.z_loss) record["z_loss"] = *r.z_loss;
  for (const auto& [name, loss] : r.parts) record["loss." + name] = loss;
  if (r.skipped) record["skipped"] = true;
  metrics_->write(record);
}

void Trainer::report_evaluation(int64_t step) {
  if (validation_.empty()) return;
  const EvalReport report = evaluate(step);
  Json record = {{"step", step}, {"val_loss", report.loss}};
  if (report.bits_per_byte) record["val_bits_per_byte"] = *report.bits_per_byte;
  for (const auto& [name, loss] : report.parts) record["val_loss." + name] = loss;
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

double Trainer::finish_checkpoint() {
  checkpoints_.finish();
  return checkpoints_.write_seconds();
}

void Trainer::validate_and_sample(int64_t step) {
  const TrainConfig& t = recipe_.train;
  if (is_due(step, t.eval_every) && metrics_->last_with("val_loss") < step) {
    report_evaluation(step);
    keep_if_best(step);
  }
  if (t.sample_every > 0 && is_due(step, t.sample_every) && metrics_->last_with("sample") < step)
    write_sample(step);
}

// Saved first: what fails or is killed in a validation loses no step.
void Trainer::after_step(int64_t step) {
  const TrainConfig& t = recipe_.train;
  if (is_due(step, t.checkpoint_every)) {
    metrics_->flush();
    save_checkpoint(step);
  }
  if (step == t.steps) finish_checkpoint();
  validate_and_sample(step);
}

void Trainer::stop_if_asked() const {
  if (hooks_.should_stop && hooks_.should_stop())
    fail(ErrorKind::kInterrupted, "train",
         "stopped after step {} of {}; the same command with --resume goes on", taken_,
         recipe_.train.steps);
}

bool Trainer::is_saved(int64_t step) const {
  const std::vector<int64_t> saved = checkpoints_.steps();
  return std::ranges::find(saved, step) != saved.end();
}

void Trainer::keep_if_best(int64_t step) {
  if (!recipe_.train.keep_best || validation_.empty()) return;
  const auto best = metrics_->best_validation();
  if (!best || best->step != step) return;
  finish_checkpoint();
  if (!is_saved(step)) {
    save_checkpoint(step);
    finish_checkpoint();
  }
  checkpoints_.mark_best(step);
}

bool Trainer::is_out_of_patience() const {
  const auto best = metrics_->best_validation();
  return recipe_.train.patience > 0 && best && best->since >= recipe_.train.patience;
}

void Trainer::count_skipped(const StepReport& report) {
  skipped_in_a_row_ = report.skipped ? skipped_in_a_row_ + 1 : 0;
  if (skipped_in_a_row_ < recipe_.train.max_skipped) return;
  const bool finite = std::isfinite(report.loss) && std::isfinite(report.grad_norm);
  const std::string from =
      finite ? "from the newest checkpoint" : set_aside_from(report.step - skipped_in_a_row_);
  fail(
      ErrorKind::kNumeric, "train",
      "step {} is number {} in a row to be skipped (its loss is {}, its gradient norm {}): the run "
      "no longer learns. {}, and go on with --resume --branch, {}",
      report.step, skipped_in_a_row_, spelled_number(report.loss).dump(),
      spelled_number(report.grad_norm).dump(), finite ? "Raise train.spike_skip" : "Lower optim.lr",
      from);
}

// The weights of step `first` fail in the step after it, whatever its learning rate: checkpoints
// that hold them are no longer loaded. Returns where the run can go on instead.
std::string Trainer::set_aside_from(int64_t first) {
  finish_checkpoint();
  std::string said;
  for (const int64_t step : checkpoints_.steps())
    if (step >= first)
      said += fmt::format(" ({} was set aside: its weights fail)",
                          checkpoints_.set_aside(step)->string());
  const std::vector<int64_t> left = checkpoints_.steps();
  return (left.empty() ? "from the beginning: no earlier checkpoint exists"
                       : fmt::format("from the checkpoint of step {}", left.back())) +
         said;
}

void Trainer::fail_not_finite(const StepReport& report) {
  const std::string from = set_aside_from(report.step - 1);
  fail(ErrorKind::kNumeric, "train",
       "step {}: the loss is {} and the gradient norm {}. Set a lower optim.lr, a longer "
       "schedule.warmup_steps, optim.grad_clip = 1.0 or train.spike_skip = 6, and go on with "
       "--resume --branch, {}",
       report.step, spelled_number(report.loss).dump(), spelled_number(report.grad_norm).dump(),
       from);
}

void Trainer::train(Start start, std::optional<int64_t> from_step) {
  int64_t s = begin(start, from_step);
  if (hooks_.on_start) hooks_.on_start();
  if (s > 0) validate_and_sample(s);  // what a kill between saving and validating left out
  for (++s; s <= recipe_.train.steps && !is_out_of_patience(); ++s) {
    const StepReport report = step(s);
    record_step(report);
    if (hooks_.on_step) hooks_.on_step(report);
    count_skipped(report);
    after_step(s);
  }
  if (s <= recipe_.train.steps) end_early();
  write_model();
  metrics_->flush();
}

void Trainer::end_early() {
  const auto best = metrics_->best_validation();
  hooks_.log.info(
      "ended after step {} of {}: {} validations brought no lower loss than {:.4f} of step {}{}",
      taken_, recipe_.train.steps, best->since, best->loss, best->step,
      recipe_.train.keep_best ? ", whose weights are in checkpoints/best" : "");
  finish_checkpoint();
  if (is_saved(taken_)) return;
  save_checkpoint(taken_);
  finish_checkpoint();
}

// The last step whose update was finished, unless the weights failed or stand between two steps.
void Trainer::save_what_can_be_saved() {
  try {
    finish_checkpoint();
  } catch (const std::exception& error) {  // the error that ended the run is the one to throw
    hooks_.log.warn("the newest checkpoint could not be written: {}", error.what());
  }
  if (updating_ || taken_ == 0 || is_saved(taken_)) return;
  try {
    save_checkpoint(taken_);
    finish_checkpoint();
    hooks_.log.info("step {} is saved; --resume goes on from there", taken_);
  } catch (const std::exception& error) {
    hooks_.log.warn("step {} could not be saved: {}", taken_, error.what());
  }
}

void Trainer::run(Start start, std::optional<int64_t> from_step) {
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
