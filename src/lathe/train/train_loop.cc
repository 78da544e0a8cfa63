// A step: the task's gradients over all labels of the step, then their norm, the clip and the
// update.

#include "lathe/train/train_loop.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/optim/clip.h"
#include "lathe/optim/schedule.h"
#include "lathe/train/budget.h"

namespace lathe {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

TrainLoop::TrainLoop(const Recipe& recipe, const TrainCallbacks& callbacks, const TrainFacts& facts)
    : TrainLoop(make_task({recipe, callbacks, facts}), recipe, callbacks, facts) {}

TrainLoop::TrainLoop(std::unique_ptr<Task> task, const Recipe& recipe,
                     const TrainCallbacks& callbacks, const TrainFacts& facts)
    : recipe_(recipe),
      callbacks_(callbacks),
      facts_(facts),
      task_(std::move(task)),
      state_(task_->trained(), recipe_),
      lineage_{.command = facts_.command, .threads = thread_count()},
      checkpoints_(
          std::filesystem::path(recipe_.train.out) / "checkpoints",
          {.keep_last = recipe_.train.keep_last,
           .keep_every = recipe_.train.keep_every,
           .on_part = callbacks_.on_checkpoint_part,
           .complete = [this](const auto& folder, const auto& final_path, const auto& state) {
             lineage_.complete_checkpoint(recipe_, folder, final_path, state);
           }}) {
  spend_budget();
}

// The budget in steps, unless it is one of time: that is measured when the run begins.
void TrainLoop::spend_budget() {
  TrainConfig& t = recipe_.train;
  if (!t.budget) return;
  const Budget budget = parse_budget(*t.budget);
  if (budget.unit == Budget::Unit::kHours)
    hours_ = budget.amount;
  else
    t.steps = steps_of(budget, t, task_->samples_per_epoch());
  t.budget.reset();
}

double TrainLoop::measure_step_seconds() {
  constexpr int64_t kTried = 3;  // after one that is slower than the rest
  const int64_t full = std::max<int64_t>(1, recipe_.train.batch_ramp);
  gradients(full);
  const auto start = Clock::now();
  for (int64_t i = 0; i < kTried; ++i) gradients(full);
  return seconds_since(start) / static_cast<double>(kTried);
}

int64_t TrainLoop::steps_in(double hours) {
  constexpr double kOverhead = 1.1;  // update, validations, checkpoints
  const double seconds = measure_step_seconds() * kOverhead;
  return std::max<int64_t>(1, static_cast<int64_t>(hours * 3600 / seconds));
}

std::vector<int64_t> TrainLoop::documents_seen() const {
  if (!lineage_.branches.empty()) return {};
  return task_->documents_seen(progress_.taken);
}

TaskStep TrainLoop::gradients(int64_t step) {
  state_.gradients().clear();
  return task_->gradients(step, state_.gradients(), [this] { stop_if_asked(); });
}

StepReport TrainLoop::step(int64_t step) {
  const auto start = Clock::now();
  const TrainConfig& t = recipe_.train;
  TaskStep taken = gradients(step);
  StepReport report{.step = step, .steps = t.steps, .tokens = taken.tokens, .loss = taken.loss};
  report.grad_norm = state_.grad_norm();
  report.lr =
      learning_rate(recipe_.schedule, recipe_.optim.lr, step, recipe_.schedule.span(t.steps));
  const bool finite = std::isfinite(report.loss) && std::isfinite(report.grad_norm);
  if (!finite && t.spike_skip == 0) fail_not_finite(report);
  report.skipped = !finite || progress_.losses.is_spike(report.loss, t.spike_skip);
  if (finite) progress_.losses.add(report.loss);
  const auto before_wait = Clock::now();
  checkpoints_.wait_until_read();
  report.waited = seconds_since(before_wait);
  update(report);
  report.numbers = std::move(taken.numbers);
  report.seconds = seconds_since(start);
  report.flops = taken.flops;
  report.tokens_so_far = progress_.tokens += report.tokens;
  report.flops_so_far = progress_.flops += report.flops;
  return report;
}

void TrainLoop::update(const StepReport& report) {
  updating_ = true;
  if (!report.skipped) {
    const double clip = clip_factor(report.grad_norm, recipe_.optim.grad_clip);
    const StepInfo info{.step = ++progress_.updates, .lr = report.lr, .grad_scale = clip};
    state_.update(info);
    task_->after_update(info, state_.values(false));
  }
  updating_ = false;
  progress_.taken = report.step;
}

void TrainLoop::stop_if_asked() const {
  if (callbacks_.should_stop && callbacks_.should_stop())
    fail(ErrorKind::kInterrupted, "train",
         "stopped after step {} of {}; the same command with --resume continues", progress_.taken,
         recipe_.train.steps);
}

void TrainLoop::use_averages(std::optional<EmaScope>& scope) {
  if (!state_.has_averages()) return;
  checkpoints_.wait_until_read();  // the exchange writes to both
  state_.use_averages(scope);
}

EvalReport TrainLoop::evaluate(int64_t step) {
  require(task_->evaluates(), ErrorKind::kConfig, "data.valid", "no validation shard was given");
  std::optional<EmaScope> averaged;
  use_averages(averaged);
  TaskEvaluation measured = task_->evaluate(step, [this] { stop_if_asked(); });
  return {.step = step, .loss = measured.loss, .numbers = std::move(measured.numbers)};
}

void TrainLoop::count_skipped(const StepReport& report) {
  int64_t& skipped = progress_.skipped_in_a_row;
  skipped = report.skipped ? skipped + 1 : 0;
  if (skipped < recipe_.train.max_skipped) return;
  const bool finite = std::isfinite(report.loss) && std::isfinite(report.grad_norm);
  const std::string from =
      finite ? "from the newest checkpoint" : set_aside_from(report.step - skipped);
  fail(ErrorKind::kNumeric, "train",
       "step {} is number {} in a row to be skipped (its loss is {}, its gradient norm {}): the "
       "run no longer learns. {}, and continue with --resume --branch, {}",
       report.step, skipped, spelled_number(report.loss).dump(),
       spelled_number(report.grad_norm).dump(),
       finite ? "Raise train.spike_skip" : "Lower optim.lr", from);
}

// The weights of step `first` fail in the step after it, whatever its learning rate: checkpoints
// that hold them are no longer loaded. Returns where the run can go on instead.
std::string TrainLoop::set_aside_from(int64_t first) {
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

void TrainLoop::fail_not_finite(const StepReport& report) {
  const std::string from = set_aside_from(report.step - 1);
  fail(ErrorKind::kNumeric, "train",
       "step {}: the loss is {} and the gradient norm {}. Set a lower optim.lr, a longer "
       "schedule.warmup_steps, optim.grad_clip = 1.0 or train.spike_skip = 6, and continue with "
       "--resume --branch, {}",
       report.step, spelled_number(report.loss).dump(), spelled_number(report.grad_norm).dump(),
       from);
}

}  // namespace lathe
