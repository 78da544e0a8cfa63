// AdaLoRA: ΔW = scale · B·diag(E)·A, with factors that a loss keeps near orthogonal and a budget of
// ranks that moves to where they matter (Zhang et al. 2023, arXiv:2303.10512).
#include "lathe/model/adapter/adalora.h"

#include <cmath>

#include "lathe/model/adapter/module_adapter.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/rearrange.h"

namespace lathe {

void AdaLoraConfig::visit(Visitor& v) {
  v.field("init_r", init_r, "rank of every module at first", at_least(1));
  v.field("target_r", target_r, "mean rank at the end", at_least(1));
  v.field("tinit", tinit, "steps before the first rank is taken away", at_least(0));
  v.field("tfinal", tfinal, "last steps, in which the ranks stay", at_least(0));
  v.field("deltaT", delta_t, "steps between two allocations", at_least(1));
  v.field("beta1", beta1, "memory of a weight's sensitivity", between(0, 1));
  v.field("beta2", beta2, "memory of its uncertainty", between(0, 1));
  v.field("orth_reg_weight", orth_reg_weight, "weight of the loss that keeps factors orthogonal",
          at_least(0));
  v.field("total_step", total_step, "steps of the run", at_least(1));
}

namespace {

class AdaLora : public ModuleAdapter {
 public:
  // The scale is that of the first rank, whatever is left of it, and as PEFT counts it.
  AdaLora(const ModuleSite& site, const AdaLoraConfig& config)
      : scale_((site.alpha > 0 ? site.alpha : static_cast<double>(config.init_r)) /
               (static_cast<double>(config.init_r) + 1e-5)),
        a_({site.rank, site.inputs}, {Initializer::Kind::kNormal, 0.02}),
        b_({site.outputs, site.rank}, {Initializer::Kind::kNormal, 0.02}),
        e_({site.rank, 1}, {Initializer::Kind::kZeros, 0}) {}

  static ModuleAdapterTraits traits(const ModuleSite&, const AdaLoraConfig& c) {
    return {.tensors = {"lora_A", "lora_B", "lora_E"},
            .rank_key = "init_r",
            .alpha_key = "lora_alpha",
            .default_rank = c.init_r};
  }

  std::string_view kind() const override { return "AdaLoRA"; }
  void visit(ModuleVisitor& v) override {
    v.parameter("lora_A", a_);
    v.parameter("lora_B", b_);
    v.parameter("lora_E", e_);
  }

  Var added(const Pass& pass, const Product& p) const override {
    if (is_empty())
      return Var(Tensor::zeros({p.x.shape()[0], b_.shape[0]}, p.out, p.x.value.device()));
    const Var narrow = ops::multiply(ops::linear(p.x, pass.use(a_), Var()), values(pass));
    return ops::linear(ops::scale(narrow, scale_), pass.use(b_), Var(), p.out);
  }
  Var weight(const Pass& pass, const Var& w) const override {
    if (is_empty()) return w;
    const Var a = scale_rows_of(pass.use(a_), values(pass));
    return plus(w, ops::scale(matmul(pass.use(b_), a), scale_));
  }
  std::vector<LowRankFactors> factors() const override {
    const Tensor& like = b_.value.tensor();
    const auto zeros = [&](const Shape& shape) {
      return Tensor::zeros(shape, like.dtype(), like.device());
    };
    if (is_empty()) return {{zeros({1, a_.shape[1]}), zeros({b_.shape[0], 1}), 0.0}};
    return {{scale_rows_of(Var(a_.value.tensor()), values({})).value, b_.value.tensor(), scale_}};
  }
  // ‖A·Aᵀ − I‖ and ‖Bᵀ·B − I‖.
  std::vector<Var> regularization(const Pass& pass) const override {
    if (is_empty()) return {};
    return {distance_from_identity(pass.use(a_)),
            distance_from_identity(ops::transpose(pass.use(b_)))};
  }

 private:
  bool is_empty() const { return a_.shape[0] == 0; }  // no rank is left
  Var values(const Pass& pass) const { return ops::reshape(pass.use(e_), {e_.shape[0]}); }

  static Var distance_from_identity(const Var& rows) {
    const Var product = ops::linear(rows, rows, Var());
    const int64_t n = rows.shape()[0];
    const Tensor identity = repeated_identity(n, n, product.value.dtype(), product.value.device());
    return ops::frobenius_norm(ops::add(product, ops::scale(Var(identity), -1)));
  }

  double scale_;
  Parameter a_, b_, e_;
};

}  // namespace

ModuleAdapterKind adalora_adapter() {
  return module_adapter<AdaLora, AdaLoraConfig>(
      {.name = "ADALORA",
       .summary = "LoRA with singular values, and ranks that move to the modules where they matter",
       .source = "Zhang et al. 2023, arXiv:2303.10512"});
}

}  // namespace lathe
