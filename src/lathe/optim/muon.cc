#include "lathe/optim/muon.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/optim/adamw.h"
#include "lathe/optim/blocks.h"
#include "lathe/optim/name_rules.h"
#include "lathe/optim/newton_schulz.h"
#include "lathe/optim/optimizers.h"
#include "lathe/optim/update.h"

namespace lathe {

void MuonConfig::visit(Visitor& v) {
  v.field("momentum", momentum, "decay of the mean of gradients",
          Limits{.minimum = 0, .maximum = 1, .exclusive_maximum = true});
  v.field("nesterov", nesterov, "look one step ahead");
  v.field("ns_steps", ns_steps, "Newton-Schulz iterations", between(1, 20));
  v.choice("adjust_lr", adjust_lr, {"match_rms_adamw", "original"},
           "update scale: 0.2 sqrt(max(rows, cols)), or sqrt(max(1, rows / cols))");
  v.field("adamw_lr_ratio", adamw_lr_ratio,
          "learning rate of gains, biases and tables (AdamW) over that of matrices", at_least(0));
}

namespace {

constexpr std::string_view kWhere = "muon";

bool orthogonalised(const Parameter& p) { return p.shape.rank() >= 2 && !p.is_table; }

class Muon final : public Optimizer {
 public:
  Muon(const OptimConfig& shared, const MuonConfig& config)
      : config_(config), rules_(shared), adamw_(make_adamw(shared)) {
    require(config_.adjust_lr == "original" || config_.adjust_lr == "match_rms_adamw",
            ErrorKind::kConfig, kWhere,
            "adjust_lr is '{}', expected 'match_rms_adamw' or 'original'", config_.adjust_lr);
  }

  void update(const TrainedParameter& p, const Tensor& gradient, std::span<const Tensor> state,
              const StepInfo& info) const override {
    if (orthogonalised(*p.parameter)) return move_matrix(p, gradient, state[0], info);
    StepInfo other = info;
    other.lr *= config_.adamw_lr_ratio;
    adamw_->update(p, gradient, state, other);
  }

  std::vector<StateShape> state_of(const Parameter& p) const override {
    if (orthogonalised(p)) return {{"muon.momentum", p.shape}};
    return adamw_->state_of(p);
  }

 private:
  std::string_view name() const override { return "muon"; }

  double scale_of(const optim::MatrixBlock& block) const {
    const double rows = static_cast<double>(block.rows), cols = static_cast<double>(block.cols);
    if (config_.adjust_lr == "original") return std::sqrt(std::max(1.0, rows / cols));
    return 0.2 * std::sqrt(std::max(rows, cols));
  }

  void move_matrix(const TrainedParameter& p, const Tensor& g, const Tensor& m,
                   const StepInfo& info) const {
    const Tensor u(Shape{p.master.numel()}, p.master.dtype(), p.master.device());
    optim::visit_master(
        p, [&](auto tag) { average<typename decltype(tag)::type>(g, m, u, info.grad_scale); });

    const kernels::Kernels& k = kernels::kernels_for(p.master.device());
    const double lr = info.lr * rules_.lr_ratio(*p.parameter), decay = rules_.decay(*p.parameter);
    if (decay > 0) k.scale(1 - lr * decay, p.master, p.master);
    const Tensor w = p.master.reshape({p.master.numel()});
    for (const optim::MatrixBlock& block : optim::matrix_blocks(*p.parameter)) {
      const auto part = [&](const Tensor& t) {
        return t.narrow(0, block.offset, block.rows * block.cols).reshape({block.rows, block.cols});
      };
      const Tensor direction = optim::newton_schulz(part(u), config_.ns_steps);
      k.axpy(-lr * scale_of(block), direction, part(w));
    }
    optim::refresh_compute(p);
  }

  // m <- momentum·m + (1 - momentum)·g, and u from it.
  template <class T>
  void average(const Tensor& gradient, const Tensor& momentum, const Tensor& out,
               double grad_scale) const {
    const T* g = gradient.data<T>();
    T* m = momentum.data<T>();
    T* u = out.data<T>();
    const T mu = static_cast<T>(config_.momentum), scale = static_cast<T>(grad_scale);
    const bool nesterov = config_.nesterov;
    parallel_ranges(out.numel(), optim::kGrain, [=](Range r, int) {
      for (int64_t i = r.begin; i < r.end; ++i) {
        const T fresh = (1 - mu) * (g[i] * scale);
        m[i] = mu * m[i] + fresh;
        u[i] = nesterov ? mu * m[i] + fresh : m[i];
      }
    });
  }

  MuonConfig config_;
  NameRules rules_;
  std::unique_ptr<Optimizer> adamw_;
};

}  // namespace

OptimizerEntry muon_optimizer() {
  return optimizer_entry<Muon, MuonConfig>(
      {.name = "muon",
       .summary = "orthogonalised momentum for matrices, AdamW for the rest",
       .source = "Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982"},
      "muon.*; beta1, beta2, eps for its AdamW");
}

}  // namespace lathe
