// How long a run is when the recipe says it in something else than steps.
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
// Error kConfig with what is understood.
Budget parse_budget(std::string_view text);

// Micro-batches of step `step` (from 1): with r = batch_ramp and G = grad_accumulation,
// ⌈G · step / r⌉ while step < r, then G.
int64_t micro_batches(const TrainConfig& config, int64_t step);
// Of all steps before it.
int64_t micro_batches_before(const TrainConfig& config, int64_t step);

// The fewest steps whose samples are at least `samples`.
int64_t steps_for_samples(const TrainConfig& config, double samples);
// The steps that a budget in steps, tokens or epochs comes to.
int64_t steps_of(const Budget& budget, const TrainConfig& config, int64_t samples_per_epoch);

}  // namespace lathe
