#include "lathe/optim/optimizers.h"

#include "lathe/base/catalogue.h"
#include "lathe/base/error.h"

namespace lathe {

OptimizerEntry adamw_optimizer();
OptimizerEntry muon_optimizer();
OptimizerEntry lion_optimizer();
OptimizerEntry adafactor_optimizer();

std::span<const OptimizerEntry> optimizers() {
  static const OptimizerEntry kOptimizers[] = {
      adamw_optimizer(),
      muon_optimizer(),
      lion_optimizer(),
      adafactor_optimizer(),
  };
  return kOptimizers;
}

void OptimConfig::visit(Visitor& v) {
  const Limits decay_rate{.minimum = 0, .maximum = 1, .exclusive_maximum = true};
  v.choice("name", name, names_of(optimizers()), "optimiser", when_resumed(OnResume::kAnother));
  v.field("lr", lr, "peak learning rate", at_least(0));
  v.field("beta1", beta1, "decay of the mean of gradients (adamw, lion)", decay_rate);
  v.field("beta2", beta2, "decay of the mean of squares (adamw), of the momentum (lion)",
          decay_rate);
  v.field("eps", eps, "added to the root of the mean of squares (adamw)", above(0));
  v.field("table_lr_ratio", table_lr_ratio,
          "learning rate of the embedding and output tables, as a factor on lr (adamw, and where "
          "muon uses it)",
          at_least(0));
  v.field("weight_decay", weight_decay,
          "decoupled weight decay of parameters with two or more dimensions, multiplied by the "
          "learning rate",
          at_least(0));
  v.field("lr_by_name", lr_by_name,
          "factor on lr for parameters matched by name, \"embedding.*:0.5\"; the last matching "
          "rule applies");
  v.field("decay_by_name", decay_by_name,
          "weight decay of parameters by name, \"*.bias:0.1\", instead of weight_decay");
  v.field(
      "paged", paged,
      "keep the state of the optimiser on disk: a step reads and writes it, and memory holds what three "
      "parameters need",
      when_resumed(OnResume::kFree));
  v.field("paged_dir", paged_dir, "with paged: folder for that; default: train.out",
          when_resumed(OnResume::kFree));
  v.field("grad_clip", grad_clip, "largest global gradient norm; 0 does not clip", at_least(0));
  components.visit_as_groups(v);
}

std::unique_ptr<Optimizer> make_optimizer(const OptimConfig& config,
                                          std::span<const TrainedParameter> parameters) {
  const OptimizerEntry& entry = find_in(optimizers(), "optim.name", config.name);
  const ComponentConfig& own = config.components.of(entry.name);
  entry.check(config, own, KeyErrors("optim." + config.name));
  require(config.paged || !config.paged_dir, ErrorKind::kConfig, "optim.paged_dir",
          "the state of the optimiser is in memory; set optim.paged = true, or leave the key out");
  std::unique_ptr<Optimizer> optimizer = entry.make(config, own);
  if (config.paged) optimizer->keep_state_in(store_on_disk(config.paged_dir.value_or(".")));
  optimizer->prepare(parameters);
  return optimizer;
}

}  // namespace lathe
