// Text of pretraining that a policy goes on learning while it is reinforced (PretrainingMixConfig).
#pragma once

#include "lathe/train/objective/rollout_config.h"
#include "lathe/train/task.h"
#include "lathe/train/task/policy.h"

namespace lathe {

// Const members are thread-safe.
class PretrainingMix {
 public:
  // Errors: those of open_training_data(); kConfig for a body that does not predict the next token of a text.
  PretrainingMix(const Recipe& recipe, const PretrainingMixConfig& config);

  // Adds to `gradients` that of ptx_coef · loss on the rows of `step`, from 1, and returns the loss: the mean
  // over tokens, in nats. Routers' balance losses do not count in it.
  double add_gradients(int64_t step, Policy& policy, ParameterGradients& gradients,
                       const StopCheck& stop_if_asked) const;
  double coefficient() const { return coefficient_; }
  int64_t tokens() const { return recipe_.train.batch_size * recipe_.train.seq_len; }

  // As in Task.
  TaskInputs check() const;

 private:
  const Recipe recipe_;  // of a pretraining on this text
  const double coefficient_;
  TrainingData data_;
};

}  // namespace lathe
