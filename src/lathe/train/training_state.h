// What an update changes: the weights of a model, the optimiser's state, and averages of the
// weights; with the gradients that it reads.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "lathe/model/transformer.h"
#include "lathe/optim/ema.h"
#include "lathe/optim/optimizer.h"
#include "lathe/train/checkpoint.h"
#include "lathe/train/recipe.h"

namespace lathe {

// Not thread-safe; but a checkpoint's writer may read what content() names until something in here
// is changed.
class TrainingState {
 public:
  // Gives the parameters of `model`, which outlives the state, compute copies and gradient buffers.
  // Error kConfig for a recipe whose rules fit no parameter.
  TrainingState(Transformer& model, const Recipe& recipe);

  // No gradient counts as written.
  void clear_gradients();
  double grad_norm() const;
  // Moves weights and averages; `update.step` counts updates from 1.
  void update(const StepInfo& update);

  bool has_averages() const { return ema_ != nullptr; }
  // Puts averages, if there are any, in place of the weights for as long as `scope` lives.
  void use_averages(std::optional<EmaScope>& scope);

  // What a checkpoint keeps of it: as the model's file the averages, if there are any and
  // `with_averages`, or else the weights. Loading averages into a state that has none, they give way
  // to the master weights that follow them.
  CheckpointContent content(bool with_averages);
  // After content(with_averages) was loaded: makes compute copies again, and averages that begin now.
  void after_load(bool with_averages);

  // Bytes of weights, gradients, averages and the optimiser's state.
  int64_t bytes() const;

 private:
  Transformer& model_;
  double ema_decay_;
  std::vector<Parameter*> parameters_;  // all, as they are saved
  std::vector<Parameter*> trained_;     // those with gradients, optimiser state and an average
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Ema> ema_;
};

}  // namespace lathe
