// Stochastic gradient descent with momentum (Polyak 1964; Nesterov's form as in Sutskever et al.
// 2013, "On the importance of initialization and momentum in deep learning").
//
//   m ← μ·m + g
//   u = g + μ·m  (Nesterov)  or  m
//   w ← w − lr·λ·w − lr·u
//
// State: "sgd.momentum/…", the shape of the parameter.

#include <map>

#include "lathe/base/parallel.h"
#include "lathe/optim/name_rules.h"
#include "lathe/optim/optimizers.h"
#include "lathe/optim/update.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "sgd";

struct SgdConfig {
  double momentum = 0.9;
  bool nesterov = false;
  void visit(Visitor& v) {
    v.field("momentum", momentum, "decay of the sum of gradients",
            Limits{.minimum = 0, .maximum = 1, .exclusive_maximum = true});
    v.field("nesterov", nesterov, "look one step ahead");
  }
};

class Sgd final : public Optimizer {
 public:
  Sgd(const OptimConfig& shared, const SgdConfig& config) : config_(config), rules_(shared) {}

  void prepare(std::span<Parameter* const> parameters) override {
    for (const Parameter* p : parameters) state_of(*p);
  }

  void step(std::span<Parameter* const> parameters, const StepInfo& info) override {
    optim::check_step(kWhere, info);
    for (Parameter* p : parameters) {
      const Tensor& m = state_of(*p);
      optim::check_state(kWhere, *p, m, p->value.shape());
      const Tensor g = optim::gradient_of(kWhere, *p);
      optim::visit_master(*p,
                          [&](auto tag) { update<typename decltype(tag)::type>(*p, g, m, info); });
      optim::refresh_compute(*p);
    }
  }

  std::vector<Shape> state_shapes(const Parameter& p) const override { return {p.shape}; }

  void for_each_state(const StateFn& f) override {
    for (auto& [name, m] : states_) f("sgd.momentum/" + name, m);
  }

 private:
  template <class T>
  void update(const Parameter& p, const Tensor& gradient, const Tensor& momentum,
              const StepInfo& info) const {
    T* w = p.value.data<T>();
    T* m = momentum.data<T>();
    const T* g = gradient.data<T>();
    const double rate = info.lr * rules_.lr_ratio(p);
    const T scale = static_cast<T>(info.grad_scale), lr = static_cast<T>(rate);
    const T keep = static_cast<T>(1 - rate * rules_.decay(p));
    const T mu = static_cast<T>(config_.momentum);
    const bool nesterov = config_.nesterov;
    parallel_ranges(p.value.numel(), optim::kGrain, [=](Range r, int) {
      for (int64_t i = r.begin; i < r.end; ++i) {
        const T gi = g[i] * scale;
        m[i] = mu * m[i] + gi;
        w[i] = w[i] * keep - lr * (nesterov ? gi + mu * m[i] : m[i]);
      }
    });
  }

  Tensor& state_of(const Parameter& p) {
    const auto found = states_.find(p.name);
    if (found != states_.end()) return found->second;
    optim::check_parameter(kWhere, p);
    return states_[p.name] = optim::zeros_like(p, state_shapes(p)[0]);
  }

  SgdConfig config_;
  NameRules rules_;
  std::map<std::string, Tensor> states_;
};

}  // namespace

OptimizerEntry sgd_optimizer() {
  return optimizer_entry<Sgd, SgdConfig>({.name = "sgd",
                                          .summary = "the gradient with momentum",
                                          .source = "Polyak 1964; Sutskever et al. 2013"},
                                         "sgd.*");
}

}  // namespace lathe
