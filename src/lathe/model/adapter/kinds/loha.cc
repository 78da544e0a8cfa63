// LoHa: ΔW = scale · (A₁·B₁) ⊙ (A₂·B₂) (Hyeon-Woo et al. 2021, arXiv:2108.06098).
#include "lathe/model/adapter/module_adapter.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"

namespace lathe {
namespace {

class LoHa : public ModuleAdapter {
 public:
  explicit LoHa(const ModuleSite& site)
      : scale_(site.alpha / static_cast<double>(site.rank)),
        w1_a_({site.outputs, site.rank}, {Initializer::Kind::kNormal, 0.1}),
        w1_b_({site.rank, site.inputs}, {Initializer::Kind::kNormal, 1.0}),
        w2_a_({site.outputs, site.rank}, {Initializer::Kind::kZeros, 0}),
        w2_b_({site.rank, site.inputs}, {Initializer::Kind::kNormal, 1.0}) {}

  static ModuleAdapterTraits traits(const ModuleSite&, const NoConfig&) {
    return {.tensors = {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}, .alpha_key = "alpha"};
  }

  std::string_view kind() const override { return "LoHa"; }
  void visit(ModuleVisitor& v) override {
    v.parameter("hada_w1_a", w1_a_);
    v.parameter("hada_w1_b", w1_b_);
    v.parameter("hada_w2_a", w2_a_);
    v.parameter("hada_w2_b", w2_b_);
  }

  Var added(const Pass& pass, const Product& p) const override {
    return ops::linear(p.x, delta(pass), Var(), p.out);
  }
  Var weight(const Pass& pass, const Var& w) const override { return plus(w, delta(pass)); }

 private:
  Var delta(const Pass& pass) const {
    const Var first = matmul(pass.use(w1_a_), pass.use(w1_b_));
    return ops::scale(ops::multiply(first, matmul(pass.use(w2_a_), pass.use(w2_b_))), scale_);
  }

  double scale_;
  Parameter w1_a_, w1_b_, w2_a_, w2_b_;
};

}  // namespace

ModuleAdapterKind loha_adapter() {
  return module_adapter<LoHa>({.name = "LOHA",
                               .summary = "the elementwise product of two products of narrow "
                                          "matrices",
                               .source = "Hyeon-Woo et al. 2021, arXiv:2108.06098"});
}

}  // namespace lathe
