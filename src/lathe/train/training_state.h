// What training keeps of a model's parameters besides the values that passes read: master copies,
// gradients, the optimiser's state, and averages of the weights.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "lathe/model/weight_map.h"
#include "lathe/optim/ema.h"
#include "lathe/optim/optimizer.h"
#include "lathe/train/checkpoint.h"
#include "lathe/train/recipe.h"

namespace lathe {

// What plans and runs call the optimiser's part of memory.
inline constexpr const char* kOptimizerState = "optimiser state";

// What a run trains: parameters, of which those that are not trainable are only kept, and the tensors
// of a file that they fill.
struct Trained {
  std::vector<Parameter*> parameters;
  std::vector<DiskTensor> weights;
};
// All of a model, under the names of its family.
Trained all_of(Transformer& model);

// Not thread-safe; but a checkpoint's writer may read what content() names until something in here
// is changed.
class TrainingState {
 public:
  // The values of the parameters, which outlive the state, become the master copies; where the recipe
  // computes in 16 bits, matrices get values in that type, and with train.quantize values that a file of
  // that type has. Error kConfig for a recipe whose rules fit no parameter, and for train.quantize of a
  // model that GGUF files cannot hold.
  TrainingState(const Trained& trained, const Recipe& recipe);

  // The buffers of all trained parameters, for the passes of a step.
  ParameterGradients& gradients() { return gradients_; }
  double grad_norm() const;
  // Moves weights and averages; `update.step` counts updates from 1.
  void update(const StepInfo& update);

  bool has_averages() const { return ema_ != nullptr; }
  // Puts averages, if there are any, in place of the weights for as long as `scope` lives.
  void use_averages(std::optional<EmaScope>& scope);
  // Every tensor that going on depends on, in a fixed order, for a state that is part of another's
  // checkpoint. Without averages.
  void for_each_tensor(const std::function<void(CheckpointTensor)>& f);

  // The weights as a model's file has them: averages, if there are any and `averages`, or else the
  // master copies. As long as this lives, and no averages are in use.
  TensorOf values(bool averages);
  // What a checkpoint keeps of it: as the model's file the averages, if there are any and
  // `with_averages`, or else the weights. Loading averages into a state that has none, they give
  // way to the master weights that follow them.
  CheckpointContent content(bool with_averages);
  // After content(with_averages) was loaded: makes compute copies again, and averages that begin
  // now.
  void after_load(bool with_averages);

  // Bytes of memory of weights, gradients, averages and the optimiser's state.
  int64_t bytes() const;

 private:
  void round_to_blocks();

  std::vector<DiskTensor> weights_;  // of the model's file; finding its family takes a while
  double ema_decay_;
  std::map<const Parameter*, Tensor> masters_;  // of all parameters, as they are saved
  ParameterGradients gradients_;
  std::vector<TrainedParameter> trained_;  // those with gradients, optimiser state and an average
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Ema> ema_;
};

}  // namespace lathe
