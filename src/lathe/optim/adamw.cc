#include "lathe/optim/adamw.h"

#include <cmath>

#include "lathe/optim/name_rules.h"
#include "lathe/optim/optimizers.h"
#include "lathe/optim/update.h"

namespace lathe {
namespace {

TensorView flat(const Tensor& t) { return t.reshape({t.numel()}).view(); }

class AdamW final : public Optimizer {
 public:
  explicit AdamW(const OptimConfig& config)
      : beta1_(config.beta1),
        beta2_(config.beta2),
        eps_(config.eps),
        rules_(config),
        table_lr_ratio_(config.table_lr_ratio) {}

  void update(const TrainedParameter& p, const Tensor& gradient, std::span<const Tensor> state,
              const StepInfo& info) const override {
    const double t = static_cast<double>(info.step);
    kernels::AdamWSpec spec{};
    spec.beta1 = beta1_;
    spec.beta2 = beta2_;
    spec.eps = eps_;
    spec.grad_scale = info.grad_scale;
    spec.correction1 = 1 - std::pow(beta1_, t);
    spec.correction2 = 1 - std::pow(beta2_, t);
    spec.lr =
        info.lr * (p.parameter->is_table ? table_lr_ratio_ : 1.0) * rules_.lr_ratio(*p.parameter);
    spec.weight_decay = rules_.decay(*p.parameter);
    const bool casts = optim::has_compute_copy(p) && p.blocks == nullptr;
    const TensorView copy = casts ? flat(p.compute()) : TensorView();
    kernels::kernels_for(p.master.device())
        .adamw(flat(p.master), flat(gradient), flat(state[0]), flat(state[1]), copy, spec);
    if (!casts) optim::refresh_compute(p);
  }

  std::vector<StateShape> state_of(const Parameter& p) const override {
    return {{"adamw.m", p.shape}, {"adamw.v", p.shape}};
  }

 private:
  std::string_view name() const override { return "adamw"; }

  double beta1_, beta2_, eps_;
  NameRules rules_;
  double table_lr_ratio_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(const OptimConfig& config) {
  return std::make_unique<AdamW>(config);
}

OptimizerEntry adamw_optimizer() {
  return optimizer_entry<AdamW>(
      {.name = "adamw",
       .summary = "adaptive step for each element, decoupled weight decay",
       .source = "Loshchilov & Hutter 2019, arXiv:1711.05101"},
      "beta1, beta2, eps");
}

}  // namespace lathe
