#include "lathe/optim/optimizers.h"

#include "lathe/base/catalogue.h"
#include "lathe/optim/adafactor.h"
#include "lathe/optim/adamw.h"
#include "lathe/optim/lion.h"
#include "lathe/optim/muon.h"

namespace lathe {
namespace {

constexpr OptimizerInfo kTable[] = {
    {"adamw", "adaptive step for each element, decoupled weight decay",
     "Loshchilov & Hutter 2019, arXiv:1711.05101", "beta1, beta2, eps", "8 bytes", make_adamw},
    {"muon", "orthogonalised momentum for matrices, AdamW for the rest",
     "Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982",
     "muon.*; beta1, beta2, eps for its AdamW", "4 bytes (8 where AdamW)", make_muon},
    {"lion", "sign of the momentum: every element moves by the learning rate",
     "Chen et al. 2023, arXiv:2302.06675", "beta1, beta2", "4 bytes", make_lion},
    {"adafactor", "adaptive step from the row and column means of squares",
     "Shazeer & Stern 2018, arXiv:1804.04235", "adafactor.*", "next to none for matrices",
     make_adafactor},
};

}  // namespace

const std::span<const OptimizerInfo> kOptimizers = kTable;

std::vector<std::string> optimizer_names() { return names_of(kTable); }

const OptimizerInfo& find_optimizer(std::string_view name) {
  return find_in(kTable, "optim.name", name);
}

std::unique_ptr<Optimizer> make_optimizer(const OptimConfig& config,
                                          std::span<Parameter* const> parameters) {
  std::unique_ptr<Optimizer> optimizer = find_optimizer(config.name).make(config);
  optimizer->prepare(parameters);
  return optimizer;
}

}  // namespace lathe
