// The loop over a task: steps, clipping, the update, skipping of spikes, averages, checkpoints,
// metrics, stopping and going on.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lathe/train/checkpoint.h"
#include "lathe/train/lineage.h"
#include "lathe/train/loss_statistics.h"
#include "lathe/train/metrics.h"
#include "lathe/train/recipe.h"
#include "lathe/train/task.h"
#include "lathe/train/train_callbacks.h"
#include "lathe/train/training_state.h"

namespace lathe {

// Checkpoints are written behind the steps (train/checkpoint.h): what changes weights, optimiser
// state or averages in here waits first until they have been read. An error of the write is thrown
// by the next member that waits for it.
class TrainLoop {
 public:
  // Over the task of the recipe's objective. Errors: kConfig, kData, kIo, kFormat.
  explicit TrainLoop(const Recipe& recipe, const TrainCallbacks& callbacks = {},
                     const TrainFacts& facts = {});
  // Over any task, which trains the recipe's model.
  TrainLoop(std::unique_ptr<Task> task, const Recipe& recipe, const TrainCallbacks& callbacks = {},
            const TrainFacts& facts = {});

  enum class Start {
    kFresh,   // refuses an `out` that holds a run
    kResume,  // goes on from the newest intact checkpoint, or begins when there is none
    kBranch,  // the same, also with changes that make another run of the rest (train/resume.h)
  };
  // Trains to the last step and writes <out>/model. Whatever ends it earlier, the last step whose
  // update was finished is saved first. Errors: kNumeric for a loss that is not finite, and for
  // train.max_skipped steps skipped in a row; kIo while another process runs in `out`.
  // With `from_step` the run goes on from that checkpoint, and later ones are set aside once it is
  // accepted; kConfig when there is none of that step.
  void run(Start start, std::optional<int64_t> from_step = {});

  // One optimiser step (forward, backward, clipping, update); for run() and for benchmarks. Waits
  // for the checkpoint being written after the backward, before the update.
  StepReport step(int64_t step);
  // Begins to write the checkpoint of the step just taken; waits first for the one before.
  void save_checkpoint(int64_t step);
  // Until it is durable; seconds that its writing took.
  double finish_checkpoint();
  // Error kConfig for a task that has nothing to evaluate on.
  EvalReport evaluate(int64_t step);

  // Its model's weights may be changed after finish_checkpoint(), and read at any time.
  Task& task() { return *task_; }
  Transformer& model() { return task_->model(); }
  const Recipe& recipe() const { return recipe_; }
  // How often the run goes through its data.
  std::vector<ShardPlan> data_plan() const { return task_->data_plan(recipe_.train.steps); }
  // Documents of each training shard that the steps taken so far read from; empty for a run with
  // branches, whose steps may have read in different ways.
  std::vector<int64_t> documents_seen() const;
  // Seconds of a forward and backward, of a few that change nothing.
  double measure_step_seconds();
  // Bytes of weights, gradients and the optimiser's state.
  int64_t state_bytes() const { return state_.bytes(); }
  // What run() checks before the first step: Task::check().
  void check();

 private:
  // How far the run is; a checkpoint keeps it.
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
  // How many steps fit into so many hours, from a few passes that change nothing.
  int64_t steps_in(double hours);
  TaskStep gradients(int64_t step);
  void update(const StepReport& report);
  void stop_if_asked() const;
  // Averages, if there are any, in place of the weights for as long as `scope` lives.
  void use_averages(std::optional<EmaScope>& scope);
  [[noreturn]] void fail_not_finite(const StepReport& report);
  void count_skipped(const StepReport& report);
  std::string set_aside_from(int64_t first);

  // run.cc: where a run begins, what it writes while it goes, how it ends
  void refuse_used_folder() const;
  // The step to go on after; 0 at the beginning.
  int64_t begin(Start start, std::optional<int64_t> from_step);
  void train(Start start, std::optional<int64_t> from_step);
  bool is_due(int64_t step, int64_t every) const;
  void after_step(int64_t step);
  void record_step(const StepReport& report);
  void validate_and_sample(int64_t step);
  void report_evaluation(int64_t step);
  void write_sample(int64_t step);
  void keep_if_best(int64_t step);
  bool is_out_of_patience() const;
  void end_early();
  void write_model();
  void save_what_can_be_saved();
  bool is_saved(int64_t step) const;

  // saving.cc: checkpoints, and what a run goes on from
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
  Progress progress_;
  bool updating_ = false;        // weights are between two steps
  CheckpointStore checkpoints_;  // after what it reads from: its end is waited for first
};

}  // namespace lathe
