// A critic: a second model that a task trains beside the one of the run, with the same optimiser and
// schedule.
#pragma once

#include <filesystem>
#include <memory>

#include "lathe/model/adapter/adapter.h"
#include "lathe/optim/optimizer.h"
#include "lathe/train/task.h"
#include "lathe/train/training_state.h"

namespace lathe {

// Not thread-safe.
class TrainedCritic {
 public:
  // All of the model is trained, or the adapter above it. The model outlives it.
  TrainedCritic(Transformer& model, std::shared_ptr<Adapter> adapter, const Recipe& recipe);

  // For the next backward pass; none counts as written.
  ParameterGradients& fresh_gradients();
  // Clipped by their own norm.
  void update(const StepInfo& update);
  // After its state was restored, if it was.
  void begin() { state_.after_load(false); }
  void for_each_state(const Task::StateFn& f) const;
  // As a folder of the model or the adapter, which replaces an existing one.
  void write(const std::filesystem::path& folder);

 private:
  Transformer& model_;
  const std::shared_ptr<Adapter> adapter_;
  const double grad_clip_;
  mutable TrainingState state_;
};

}  // namespace lathe
