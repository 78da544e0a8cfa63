// The size of the model and the number of steps that fit into the remaining time, measured on this
// machine rather than guessed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "lathe/train/recipe.h"

namespace lathe {

struct DemoLimits {
  double seconds = 0;      // for training, validation and samples
  std::string precision;   // "bf16" or "fp32"
  int64_t vocab_size = 0;  // of the tokenizer
  int64_t train_tokens = 0, valid_tokens = 0;
};

struct DemoPlan {
  Recipe recipe;  // complete except for paths
  double step_seconds = 0;
  int64_t parameters = 0;
};

// The cost of a run of `steps`, in steps: the steps themselves, a validation of eight batches
// (forward only) every eval_every, a text at every second validation, and writing metrics and
// checkpoints.
double cost_in_steps(int64_t steps);
// The most steps whose cost fits into `seconds`, of `step_seconds` each; at least 20, at most
// `most`.
int64_t steps_that_fit(double seconds, double step_seconds, int64_t most);

// Times a few steps of ever larger Llama shapes on the data of `paths` and takes the largest that
// still sees enough tokens for its size (half a token a parameter), with a cosine over as many
// steps as fit. The time that this takes is subtracted from limits.seconds. `tried` is called with
// every shape.
DemoPlan plan_demo(const DemoLimits& limits, const DataConfig& data,
                   const std::function<void(const std::string&)>& tried);

// The plan as a recipe file that is short, commented and meant to be changed.
std::string demo_recipe_toml(const Recipe& recipe);

}  // namespace lathe
