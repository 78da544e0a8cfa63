// Lion: the sign of an interpolated momentum (Chen et al. 2023, arXiv:2302.06675).
//
//   c ← β1·m + (1−β1)·g
//   w ← w − lr·λ·w − lr·sign(c)        sign(0) = 0
//   m ← β2·m + (1−β2)·g
//
// λ as in adamw.h. Every element moves by exactly lr, so lr wants to be 3 to 10 times smaller than
// AdamW's and weight_decay as many times larger; the paper trains language models with β1 = 0.95,
// β2 = 0.98. State: "lion.m/…": half of AdamW's.

#include "lathe/base/parallel.h"
#include "lathe/optim/name_rules.h"
#include "lathe/optim/optimizers.h"
#include "lathe/optim/update.h"

namespace lathe {
namespace {

class Lion final : public Optimizer {
 public:
  explicit Lion(const OptimConfig& config)
      : beta1_(config.beta1), beta2_(config.beta2), rules_(config) {}

  void update(const TrainedParameter& p, const Tensor& gradient, std::span<const Tensor> state,
              const StepInfo& info) const override {
    optim::visit_master(
        p, [&](auto tag) { move<typename decltype(tag)::type>(p, gradient, state[0], info); });
    optim::refresh_compute(p);
  }

  std::vector<StateShape> state_of(const Parameter& p) const override {
    return {{"lion.m", p.shape}};
  }

 private:
  std::string_view name() const override { return "lion"; }

  template <class T>
  void move(const TrainedParameter& p, const Tensor& gradient, const Tensor& momentum,
            const StepInfo& info) const {
    T* w = p.master.data<T>();
    T* m = momentum.data<T>();
    const T* g = gradient.data<T>();
    const double rate = info.lr * rules_.lr_ratio(*p.parameter);
    const T scale = static_cast<T>(info.grad_scale), lr = static_cast<T>(rate);
    const T keep = static_cast<T>(1 - rate * rules_.decay(*p.parameter));
    const T b1 = static_cast<T>(beta1_), b2 = static_cast<T>(beta2_);
    parallel_ranges(p.master.numel(), optim::kGrain, [=](Range r, int) {
      for (int64_t i = r.begin; i < r.end; ++i) {
        const T gi = g[i] * scale;
        const T c = b1 * m[i] + (1 - b1) * gi;
        const T sign = static_cast<T>(c > 0) - static_cast<T>(c < 0);
        w[i] = w[i] * keep - lr * sign;
        m[i] = b2 * m[i] + (1 - b2) * gi;
      }
    });
  }

  double beta1_, beta2_;
  NameRules rules_;
};

}  // namespace

OptimizerEntry lion_optimizer() {
  return optimizer_entry<Lion>(
      {.name = "lion",
       .summary = "sign of the momentum: every element moves by the learning rate",
       .source = "Chen et al. 2023, arXiv:2302.06675"},
      "beta1, beta2");
}

}  // namespace lathe
