// The catalogue of optimisers. To add one: write its file and add its line to optimizers.cc;
// docs/adding/optimizer.md.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/optim/optim_config.h"
#include "lathe/optim/optimizer.h"

namespace lathe {

struct OptimizerInfo {
  std::string_view name;     // in recipes
  std::string_view summary;  // one line
  std::string_view source;   // paper
  std::string_view keys;     // of [optim], besides lr, weight_decay and grad_clip, that it reads
  std::string_view state;    // bytes kept beside each f32 parameter
  std::unique_ptr<Optimizer> (*make)(const OptimConfig& config);
};

extern const std::span<const OptimizerInfo> kOptimizers;

// By recipe name; Error kConfig with the nearest name and the list when there is none such.
const OptimizerInfo& find_optimizer(std::string_view name);

// The optimiser that the recipe names, with the state of `parameters` made and zero.
std::unique_ptr<Optimizer> make_optimizer(const OptimConfig& config,
                                          std::span<Parameter* const> parameters);

}  // namespace lathe
