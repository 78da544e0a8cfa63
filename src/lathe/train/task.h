// What a run trains and how: the model, the gradients of a step, what is measured. The loop over it
// (train/train_loop.h) does the rest: clipping, update, averages, checkpoints, metrics, the end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lathe/io/manifest.h"
#include "lathe/model/adapter/lora_adapter.h"
#include "lathe/model/folder.h"
#include "lathe/train/recipe.h"
#include "lathe/train/train_callbacks.h"
#include "lathe/train/training_data.h"
#include "lathe/train/training_state.h"

namespace lathe {

// What every task is made from; lives at least as long as the making of the task takes.
struct TaskSetting {
  const Recipe& recipe;
  const TrainCallbacks& callbacks;
  const TrainFacts& facts;
};

// Throws when the run was asked to stop.
using StopCheck = std::function<void()>;

struct TaskStep {
  double loss = 0;
  int64_t tokens = 0;
  double flops = 0;           // model FLOPs, forward and backward
  NamedNumbers numbers = {};  // for the metrics, under these names
};

struct TaskEvaluation {
  double loss = 0;            // val_loss of the metrics, which keep_best and patience go by
  NamedNumbers numbers = {};  // for the metrics, under these names after "val_"
};

// What a task is made from, as manifests name it.
struct TaskInputs {
  std::vector<ArtefactRef> artefacts;
  std::string data_hash;  // of what it learns from: a run goes on exactly only with the same
};

// Everything random is drawn from streams named by the seed and the step, so that a run that stops
// and goes on does what an unbroken one does. Not thread-safe; but a checkpoint's writer reads the
// model and the tensors of for_each_state() during gradients() and evaluate().
class Task {
 public:
  virtual ~Task() = default;

  // The model that is trained, or that what is trained acts on.
  virtual Transformer& model() = 0;
  // The adapter that is trained above model(), as the engine takes it; nullptr without one. Error kConfig for a kind that
  // cannot be chosen per request.
  virtual std::shared_ptr<const LoraAdapter> adapter_for_engine() { return nullptr; }
  // What the optimiser moves and a checkpoint holds: all of model() unless a task says otherwise.
  virtual Trained trained() { return all_of(model()); }

  // Forward and backward of `step` (from 1) into `gradients` of the model's parameters, none of
  // which counts as written before. Changes no parameter. `stop_if_asked` is called before every
  // operation.
  virtual TaskStep gradients(int64_t step, ParameterGradients& gradients,
                             const StopCheck& stop_if_asked) = 0;
  // After the optimiser's update with the last gradients, which was this one, of these master copies; not
  // when the step was skipped. Parameters
  // without gradients and tensors of for_each_state() are changed here and nowhere else.
  virtual void after_update(const StepInfo& /*update*/, const TensorOf& /*masters*/) {}

  // Whether there is anything to evaluate on.
  virtual bool evaluates() const { return false; }
  virtual TaskEvaluation evaluate(int64_t step, const StopCheck& stop_if_asked);
  // The loss on what the model knew before the run, by name, which is measured before the first step and
  // after the last; empty for none.
  virtual NamedNumbers old_losses(const StopCheck& stop_if_asked);
  // Text that shows what the model does now; nullopt for none.
  virtual std::optional<std::string> sample(int64_t step);

  // Before the first step of this process, and after restore(): where the run writes, and the last step
  // whose results are kept; what an earlier process wrote of later ones is removed.
  virtual void begin(const std::filesystem::path&, int64_t /*last_step*/) {}
  // What the step just taken leaves in the run's folder beside metrics.
  virtual void record(int64_t /*step*/) {}
  // What the finished run writes, and the name of its folder: by default "model", with `values` as the
  // weights and files().
  virtual std::string_view result_name() const { return "model"; }
  virtual void write_result(const std::filesystem::path& folder, const TensorOf& values,
                            const ModelFiles& files);
  // What it leaves beside that.
  virtual void write(const std::filesystem::path& /*out*/) {}

  // Reads through everything it is made from, before the first step. Errors: kData, kIo.
  virtual TaskInputs check() = 0;
  // What stands next to the weights in a checkpoint and in the finished folder: config.json, the
  // tokenizer. By default that of the model and of data.tokenizer.
  virtual ModelFiles files(const Recipe& recipe);

  // What a checkpoint keeps of the task besides the model; null for nothing. restore() gets what
  // state() gave, and makes the tensors of for_each_state() in the shapes that they had, whose
  // contents are read afterwards.
  virtual nlohmann::ordered_json state() const;
  virtual void restore(const nlohmann::ordered_json& state);
  // Every tensor that belongs to the state, contiguous, in a fixed order.
  using StateFn = std::function<void(CheckpointTensor tensor)>;
  virtual void for_each_state(const StateFn&) const {}

  // Samples that an epoch has.
  virtual int64_t samples_per_epoch() const = 0;
  // How often the first `steps` steps go through the data, and how many documents of each shard
  // they read from; empty for a task without shards.
  virtual std::vector<ShardPlan> data_plan(int64_t steps) const;
  virtual std::vector<int64_t> documents_seen(int64_t steps) const;
};

// The task of the recipe's objective. Errors: kConfig, kData, kIo, kFormat.
std::unique_ptr<Task> make_task(const TaskSetting& setting);

// The model of a recipe with room for its weights: those of model.from, or fresh ones. Error
// kConfig when this machine does not have the memory.
std::unique_ptr<Transformer> make_training_model(const Recipe& recipe, const Log& log);

}  // namespace lathe
