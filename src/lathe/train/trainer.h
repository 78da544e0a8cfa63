// The one training loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lathe/base/log.h"
#include "lathe/base/parallel.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/io/manifest.h"
#include "lathe/model/folder.h"
#include "lathe/model/transformer.h"
#include "lathe/nn/moe/router_statistics.h"
#include "lathe/optim/ema.h"
#include "lathe/optim/optimizer.h"
#include "lathe/train/checkpoint.h"
#include "lathe/train/data_loader.h"
#include "lathe/train/metrics.h"
#include "lathe/train/recipe.h"
#include "lathe/train/training_data.h"
#include "lathe/train/validation.h"

namespace lathe {

struct StepReport {
  int64_t step = 0, steps = 0, tokens = 0;  // tokens of this step
  int64_t tokens_so_far = 0;
  double loss = 0, lr = 0, grad_norm = 0, seconds = 0;
  double waited = 0;  // of `seconds`: for the checkpoint being written, before the update
  double flops = 0, flops_so_far = 0;  // model FLOPs
  bool skipped = false;
  std::optional<RouterSummary> routers = {};  // of a mixture of experts
  std::optional<double> mtp_loss = {};        // mean of the modules that look further ahead
  std::optional<double> z_loss = {};          // of objective.z_loss
  std::vector<std::pair<std::string, double>> parts = {};  // mean loss of each kind of row
};

struct EvalReport {
  int64_t step = 0;
  double loss = 0;  // of the first validation set
  std::optional<double> bits_per_byte;
  std::vector<std::pair<std::string, double>> parts;  // by set where there are several, by denoiser
};

// How a run talks to its surroundings; every member may be empty.
struct TrainHooks {
  Log log;
  // Everything was read and checked, and the first step begins: before, a run has nothing to save.
  std::function<void()> on_start;
  std::function<void(const StepReport&)> on_step;
  std::function<void(const EvalReport&)> on_eval;
  std::function<void(int64_t step, const std::string& text)> on_sample;
  // Text that the model writes now; runs with the weights that validation uses.
  std::function<std::string(Transformer& model)> sample;
  // Asked before every operation of a step and every batch of a validation; true saves the last
  // step whose update was finished and ends the run with Error kInterrupted.
  std::function<bool()> should_stop;
  // CheckpointOptions::on_part.
  std::function<void(std::string_view part)> on_checkpoint_part;
  // Bytes that each token id stands for, for bits per byte; empty without a tokenizer.
  std::vector<int32_t> token_bytes;
  double matrix_flops = 0;  // measured rate of this machine, FLOP/s, for MFU; 0: not known
  std::string command;      // for manifests
};

// Checkpoints are written behind the steps (train/checkpoint.h): what changes weights, optimiser
// state or averages in here waits first until they have been read. An error of the write is thrown
// by the next member that waits for it.
class Trainer {
 public:
  // Builds or loads the model and opens the data. Errors: kConfig, kData, kIo, kFormat.
  Trainer(Recipe recipe, TrainHooks hooks);

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
  EvalReport evaluate(int64_t step);

  // Its weights may be changed after finish_checkpoint(), and read at any time.
  Transformer& model() { return *model_; }
  const Recipe& recipe() const { return recipe_; }
  // How often the run goes through its data.
  std::vector<ShardPlan> data_plan() const;
  // Documents of each training shard that the steps taken so far read from; empty for a run with
  // branches, whose steps may have read in different ways.
  std::vector<int64_t> documents_seen() const;
  // Seconds of a forward and backward, of a few that change nothing.
  double measure_step_seconds();
  // Bytes of weights, gradients and the optimiser's state.
  int64_t state_bytes();
  // What run() checks before the first step: ids that the model has no row for, and hashes.
  void check_data();
  // Forward and backward of one step, by model/summary.h.
  double flops_per_step() const { return flops_per_step_; }

 private:
  // Running mean and variance of the loss, for spike_skip.
  struct LossStatistics {
    double mean = 0, variance = 0;
    int64_t count = 0;
    bool is_spike(double loss, double deviations) const;
    void add(double loss);
  };

  void prepare_parameters();
  void spend_budget();
  // How many steps fit into so many hours, from a few passes that change nothing.
  int64_t steps_in(double hours);
  void open_data();
  // Of a checkpoint whose model is the average of the weights, or the weights themselves.
  CheckpointContent checkpoint_content(bool with_averages);
  void complete_checkpoint(const std::filesystem::path& folder,
                           const std::filesystem::path& final_path,
                           const nlohmann::ordered_json& state) const;
  // Its kind, the run's inputs, recipe and branches.
  Manifest manifest_of(std::string_view kind, int64_t step, int64_t updates) const;
  void accept_state(const nlohmann::ordered_json& state, Start start);
  // Averages, if there are any, in place of the weights for as long as `scope` lives.
  void use_averages(std::optional<EmaScope>& scope);
  // The weighed losses of the modules that look further ahead, added to `loss`.
  Var with_further(const Forward& f, const Batch& batch, Var hidden, Var loss, double normalizer);
  // Forward and backward of a micro-batch: its loss, summed over its labels and divided by
  // `normalizer`.
  double backward(Forward f, const Batch& batch, double normalizer);
  double accumulate_gradients(int64_t step);
  std::string set_aside_from(int64_t first);
  [[noreturn]] void fail_not_finite(const StepReport& report);
  void count_skipped(const StepReport& report);
  // The step to go on after; 0 at the beginning.
  int64_t begin(Start start, std::optional<int64_t> from_step);
  int64_t load_checkpoint(Start start, std::optional<int64_t> from_step);
  void save_what_can_be_saved();
  void refuse_used_folder() const;
  void record_step(const StepReport& report);
  bool is_due(int64_t step, int64_t every) const;
  void after_step(int64_t step);
  void stop_if_asked() const;
  void validate_and_sample(int64_t step);
  void keep_if_best(int64_t step);
  bool is_saved(int64_t step) const;
  bool is_out_of_patience() const;
  void end_early();
  void train(Start start, std::optional<int64_t> from_step);
  void write_sample(int64_t step);
  void write_model();
  void report_evaluation(int64_t step);

  Recipe recipe_;
  TrainHooks hooks_;
  std::unique_ptr<Transformer> model_;
  std::vector<Parameter*> parameters_;  // all, as they are saved
  std::vector<Parameter*> trained_;     // those with gradients, optimiser state and an average
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Ema> ema_;
  std::shared_ptr<const RowFormat> format_;
  double flops_per_step_ = 0;    // once the batch ramp is over
  std::optional<double> hours_;  // train.budget, until the run begins
  TrainingData data_;
  std::vector<ValidationSet> validation_;
  std::vector<ArtefactRef> inputs_;  // shards, tokenizer, model.from, hashed at the start
  std::string data_hash_;            // of the training shards
  ModelFiles model_files_;
  std::vector<std::string> branches_;  // "after step 12: optim.lr: 0.01, now 0.001"
  std::unique_ptr<MetricsWriter> metrics_;
  CheckpointStore checkpoints_;  // after what it reads from: its end is waited for first
  LossStatistics loss_statistics_;
  RouterStatistics router_statistics_;  // of the present step
  // The same, of the modules that look further ahead.
  double further_sum_ = 0;
  double z_loss_ = 0;  // of the present step
  int64_t further_labels_ = 0;
  LossByKind by_kind_;   // of the present step
  int64_t updates_ = 0;  // optimiser updates, skipped steps not counted
  int64_t tokens_ = 0;   // of the steps so far
  double flops_ = 0;
  int64_t skipped_in_a_row_ = 0;
  int64_t threads_ = thread_count();
  int64_t taken_ = 0;      // the last step whose update was finished
  bool updating_ = false;  // weights are between two steps
};

}  // namespace lathe
