#include "lathe/optim/adamw.h"

#include <cmath>
#include <map>

#include "lathe/optim/name_rules.h"
#include "lathe/optim/optimizers.h"
#include "lathe/optim/update.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "adamw";

TensorView flat(const Tensor& t) { return t.reshape({t.numel()}).view(); }

class AdamW final : public Optimizer {
 public:
  explicit AdamW(const OptimConfig& config)
      : beta1_(config.beta1),
        beta2_(config.beta2),
        eps_(config.eps),
        rules_(config),
        table_lr_ratio_(config.table_lr_ratio) {}

  void prepare(std::span<const TrainedParameter> parameters) override {
    for (const TrainedParameter& p : parameters) state_of(p);
  }

  void step(std::span<const TrainedParameter> parameters, const StepInfo& info) override {
    optim::check_step(kWhere, info);
    const double t = static_cast<double>(info.step);
    kernels::AdamWSpec spec{};
    spec.beta1 = beta1_;
    spec.beta2 = beta2_;
    spec.eps = eps_;
    spec.grad_scale = info.grad_scale;
    spec.correction1 = 1 - std::pow(beta1_, t);
    spec.correction2 = 1 - std::pow(beta2_, t);
    for (const TrainedParameter& p : parameters) {
      const State& s = state_of(p);
      optim::check_state(kWhere, p, s.m, p.master.shape());
      optim::check_state(kWhere, p, s.v, p.master.shape());
      const Tensor g = optim::gradient_of(kWhere, p);
      spec.lr =
          info.lr * (p.parameter->is_table ? table_lr_ratio_ : 1.0) * rules_.lr_ratio(*p.parameter);
      spec.weight_decay = rules_.decay(*p.parameter);
      const bool casts = optim::has_compute_copy(p) && p.blocks == nullptr;
      const TensorView copy = casts ? flat(p.compute()) : TensorView();
      kernels::kernels_for(p.master.device())
          .adamw(flat(p.master), flat(g), flat(s.m), flat(s.v), copy, spec);
      if (!casts) optim::refresh_compute(p);
    }
  }

  std::vector<Shape> state_shapes(const Parameter& p) const override { return {p.shape, p.shape}; }

  void for_each_state(const StateFn& f) override {
    for (auto& [name, s] : states_) {
      f("adamw.m/" + name, s.m);
      f("adamw.v/" + name, s.v);
    }
  }

 private:
  struct State {
    Tensor m, v;
  };

  State& state_of(const TrainedParameter& p) {
    const auto found = states_.find(p.name());
    if (found != states_.end()) return found->second;
    optim::check_parameter(kWhere, p);
    const std::vector<Shape> shapes = state_shapes(*p.parameter);
    return states_[p.name()] = {optim::zeros_like(p, shapes[0]), optim::zeros_like(p, shapes[1])};
  }

  double beta1_, beta2_, eps_;
  NameRules rules_;
  double table_lr_ratio_;
  std::map<std::string, State> states_;
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
