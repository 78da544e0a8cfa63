// How large a model and how many steps fit into the time that is left: measured on this machine,
// not guessed.
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
  Recipe recipe;  // complete but for paths
  double step_seconds = 0;
  int64_t parameters = 0;
};

// What a run of `steps` costs, in steps: itself, a validation of eight batches (forward only) every
// eval_every, a text at every second of them, and what writing metrics and checkpoints adds.
double cost_in_steps(int64_t steps);
// The most steps whose cost fits into `seconds`, of `step_seconds` each; at least 20, at most `most`.
int64_t steps_that_fit(double seconds, double step_seconds, int64_t most);

// Times a few steps of ever larger Llama shapes on the data of `paths` and takes the largest that
// still sees enough tokens for its size (half a token a parameter), with a cosine over as many steps as
// fit. The time that this takes comes off limits.seconds. `tried` hears of every shape.
DemoPlan plan_demo(const DemoLimits& limits, const DataConfig& data,
                   const std::function<void(const std::string&)>& tried);

// The plan as a recipe file: short, commented, made to be changed.
std::string demo_recipe_toml(const Recipe& recipe);

}  // namespace lathe
