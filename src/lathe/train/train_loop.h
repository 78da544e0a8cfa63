// The training loop over a task: steps, clipping, the update, skipping of spikes, averages,
// checkpoints, metrics, stopping and resuming.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lathe/train/checkpoint.h"
#include "lathe/train/in_run_evaluation.h"
#include "lathe/train/lineage.h"
#include "lathe/train/loss_statistics.h"
#include "lathe/train/metrics.h"
#include "lathe/train/recipe.h"
#include "lathe/train/task.h"
#include "lathe/train/train_callbacks.h"
#include "lathe/train/training_state.h"

namespace lathe {

// Checkpoints are written in the background (train/checkpoint.h): a member that changes weights,
// optimiser state or averages first waits until they have been read. An error of the write is
// thrown by the next member that waits for it.
class TrainLoop {
 public:
  // Trains on the task of the recipe's objective. Errors: kConfig, kData, kIo, kFormat.
  explicit TrainLoop(const Recipe& recipe, const TrainCallbacks& callbacks = {},
                     const TrainFacts& facts = {});
  // Trains on any task, which trains the recipe's model.
  TrainLoop(std::unique_ptr<Task> task, const Recipe& recipe, const TrainCallbacks& callbacks = {},
            const TrainFacts& facts = {});

  enum class Start {
    kFresh,   // refuses an `out` that holds a run
    kResume,  // continues from the newest intact checkpoint, or starts if there is none
    kBranch,  // the same, also with changes that make the rest another run (train/resume.h)
  };
  // Trains to the last step and writes <out>/model. If anything ends it earlier, the last step
  // whose update was finished is saved first. Errors: kNumeric for a loss that is not finite, and
  // for train.max_skipped steps skipped in a row; kIo while another process runs in `out`. With
  // `from_step` the run continues from that checkpoint, and later ones are set aside once it is
  // accepted; kConfig if there is none of that step.
  void run(Start start, std::optional<int64_t> from_step = {});

  // One optimiser step (forward, backward, clipping, update); for run() and for benchmarks. Waits
  // for the checkpoint being written after the backward, before the update.
  StepReport step(int64_t step);
  // Starts to write the checkpoint of the step just taken; waits first for the previous one.
  void save_checkpoint(int64_t step);
  // Waits until it is durable; returns the seconds that writing took.
  double finish_checkpoint();
  // Throws kConfig for a task that has nothing to evaluate on.
  EvalReport evaluate(int64_t step);
  // What tasks say of the weights that validation uses; for run() and for plans of its memory.
  NamedNumbers measure(InRunEvaluation& tasks);

  // Its model's weights may be changed after finish_checkpoint(), and read at any time.
  Task& task() { return *task_; }
  Transformer& model() { return task_->model(); }
  const Recipe& recipe() const { return recipe_; }
  // How often the run passes through its data.
  std::vector<ShardPlan> data_plan() const { return task_->data_plan(recipe_.train.steps); }
  // The number of documents of each training shard that the steps so far have read from; empty for
  // a run with branches, whose steps may have read in different ways.
  std::vector<int64_t> documents_seen() const;
  // Seconds of a forward and backward pass, from a few passes that change nothing.
  double measure_step_seconds();
  // The number of bytes of weights, gradients and the optimiser's state.
  int64_t state_bytes() const { return state_.bytes(); }
  // What run() checks before the first step: Task::check().
  void check();

 private:
  // The progress of the run, which a checkpoint stores.
  struct Progress {
    int64_t taken = 0;    // the last step whose update was finished
    int64_t updates = 0;  // optimiser updates, skipped steps not counted
    int64_t tokens = 0;   // of the steps so far
    double flops = 0;
    int64_t skipped_in_a_row = 0;
    LossStatistics losses;

    void write(nlohmann::ordered_json& state) const;
    void read(const nlohmann::ordered_json& state);
  };

  // train_loop.cc: steps
  void spend_budget();
  // The number of steps that fit into so many hours, estimated from a few passes that change
  // nothing.
  int64_t steps_in(double hours);
  TaskStep gradients(int64_t step);
  void update(const StepReport& report);
  void stop_if_asked() const;
  // Puts the averages, if there are any, in place of the weights for as long as `scope` lives.
  void use_averages(std::optional<EmaScope>& scope);
  [[noreturn]] void fail_not_finite(const StepReport& report);
  void count_skipped(const StepReport& report);
  std::string set_aside_from(int64_t first);

  // run.cc: where a run starts, what it writes on the way, how it ends
  void refuse_used_folder() const;
  // The step to continue after; 0 at the beginning.
  int64_t begin(Start start, std::optional<int64_t> from_step);
  void train(Start start, std::optional<int64_t> from_step);
  bool is_due(int64_t step, int64_t every) const;
  void after_step(int64_t step);
  void record_step(const StepReport& report);
  void validate_and_sample(int64_t step);
  void report_evaluation(int64_t step);
  void report_old_losses(int64_t step);
  void measure_the_start();
  void measure_tasks(int64_t step);
  void write_sample(int64_t step);
  void keep_if_best(int64_t step);
  bool is_out_of_patience() const;
  void end_early();
  void write_model();
  void save_what_can_be_saved();
  bool is_saved(int64_t step) const;

  // saving.cc: checkpoints, and what a run continues from
  CheckpointContent checkpoint_content(bool with_averages);
  void accept_state(const nlohmann::ordered_json& state, Start start);
  std::vector<std::string> accept_data(const nlohmann::ordered_json& state, bool branch) const;
  void warn_of_other_threads(const nlohmann::ordered_json& state) const;
  int64_t load_checkpoint(Start start, std::optional<int64_t> from_step);

  Recipe recipe_;
  const TrainCallbacks callbacks_;
  const TrainFacts facts_;
  std::unique_ptr<Task> task_;
  TrainingState state_;
  std::optional<double> hours_;  // train.budget, until the run begins
  Lineage lineage_;
  std::unique_ptr<MetricsWriter> metrics_;
  std::unique_ptr<InRunEvaluation> tasks_;  // of [eval], if there are any
  double seconds_per_token_ = 0;            // of the last step
  Progress progress_;
  bool updating_ = false;        // weights are between two steps
  CheckpointStore checkpoints_;  // after what it reads from, so that it is destroyed first
};

}  // namespace lathe
