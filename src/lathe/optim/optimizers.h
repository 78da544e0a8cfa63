// The section [optim] of a recipe and the catalogue of optimisers. To add one: write its file and
// add its line to optimizers.cc; docs/adding/optimizer.md.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/config/component.h"
#include "lathe/optim/optimizer.h"

namespace lathe {

struct OptimConfig;

struct OptimizerEntry : Component<Optimizer, OptimConfig> {
  std::string_view keys;  // of [optim], besides lr, weight_decay and grad_clip, that it reads
};
std::span<const OptimizerEntry> optimizers();

// The entry of `Class`, which is constructed from (OptimConfig, config) or, without keys of its
// own, from (OptimConfig).
template <class Class, class Config = NoConfig>
OptimizerEntry optimizer_entry(const ComponentText& text, std::string_view keys) {
  return {component<Optimizer, OptimConfig, Class, Config>(text), keys};
}

// What several optimisers read is here; the keys of one alone are a group of its name.
struct OptimConfig {
  std::string name = "adamw";
  double lr = 3e-4;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double table_lr_ratio = 1.0;
  double weight_decay = 0.1;
  std::vector<std::string> lr_by_name = {}, decay_by_name = {};
  double grad_clip = 1.0;
  bool paged = false;                    // the state is on disk (state_store.h)
  std::optional<std::string> paged_dir;  // where; default: train.out
  ComponentConfigs components{optimizers()};

  void visit(Visitor& v);
};

// The optimiser that the recipe names, with the state of `parameters` made and zero. Error kConfig
// for a name that is not in the catalogue, with the nearest one, and for keys that cannot work. A paged
// state without paged_dir is in the working folder.
std::unique_ptr<Optimizer> make_optimizer(const OptimConfig& config,
                                          std::span<const TrainedParameter> parameters);

}  // namespace lathe
