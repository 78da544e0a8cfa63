// The length of a run if the recipe gives it in another unit than steps.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lathe/train/recipe.h"

namespace lathe {

// "300M tokens", "2 epochs", "1.5 hours": a number, with k, M, G or T for thousands, and a unit.
struct Budget {
  enum class Unit { kSteps, kTokens, kEpochs, kHours };
  double amount = 0;
  Unit unit = Unit::kSteps;
};
// Throws kConfig, with what is understood.
Budget parse_budget(std::string_view text);

// Micro-batches of step `step` (from 1): with r = batch_ramp and G = grad_accumulation,
// ⌈G · step / r⌉ while step < r, then G.
int64_t micro_batches(const TrainConfig& config, int64_t step);
// The micro-batches of all steps before it.
int64_t micro_batches_before(const TrainConfig& config, int64_t step);

// The fewest steps whose samples are at least `samples`.
int64_t steps_for_samples(const TrainConfig& config, double samples);
// The number of steps of a budget in steps, tokens or epochs.
int64_t steps_of(const Budget& budget, const TrainConfig& config, int64_t samples_per_epoch);

}  // namespace lathe
