// VeRA: ΔW = diag(λ_b)·B·diag(λ_d)·A with drawn matrices A and B that all modules share (Kopiczko et
// al. 2023, arXiv:2310.11454).
#include "lathe/base/error.h"
#include "lathe/model/adapter/module_adapter.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"

namespace lathe {
namespace {

struct VeraConfig {
  double d_initial = 0.1;

  void visit(Visitor& v) { v.field("d_initial", d_initial, "where λ_d begins"); }
};

class Vera : public ModuleAdapter {
 public:
  Vera(const ModuleSite& site, const VeraConfig& config)
      : site_(site),
        config_(config),
        d_({site.rank}, {Initializer::Kind::kOnes, 0}),
        b_({site.outputs}, {Initializer::Kind::kZeros, 0}) {}

  static ModuleAdapterTraits traits(const ModuleSite&, const VeraConfig&) {
    return {.tensors = {"vera_lambda_d", "vera_lambda_b"}, .default_rank = 256};
  }

  std::string_view kind() const override { return "VeRA"; }
  void visit(ModuleVisitor& v) override {
    v.parameter("vera_lambda_d", d_);
    v.parameter("vera_lambda_b", b_);
  }
  std::map<std::string, Shape> shared() const override {
    return {{"vera_A", {site_.rank, site_.inputs}}, {"vera_B", {site_.outputs, site_.rank}}};
  }
  void share(const TensorsByName& all) override {
    down_ = all.at("vera_A").narrow(1, 0, site_.inputs).clone();
    up_ = all.at("vera_B").narrow(0, 0, site_.outputs).clone();
  }
  void start(const Tensor& w, const Rng& rng) override {
    ModuleAdapter::start(w, rng);
    d_.value.tensor().copy_from(ops::scale(Var(d_.value.tensor()), config_.d_initial).value);
  }

  Var added(const Pass& pass, const Product& p) const override {
    const Var narrow = ops::multiply(ops::linear(p.x, of_type(down_, p.x), Var()), pass.use(d_));
    return ops::multiply(ops::linear(narrow, of_type(up_, narrow), Var(), p.out), pass.use(b_));
  }
  Var weight(const Pass& pass, const Var& w) const override {
    const Var up = ops::multiply(Var(up_), pass.use(d_));
    return plus(w, scale_rows_of(matmul(up, Var(down_)), pass.use(b_)));
  }
  std::vector<LowRankFactors> factors() const override {
    const Var up = ops::multiply(Var(up_), Var(d_.value.tensor()));
    return {{down_, scale_rows_of(up, Var(b_.value.tensor())).value, 1.0}};
  }

 private:
  // They are no parameters, which training would keep in the type of its passes.
  static Var of_type(const Tensor& t, const Var& like) { return Var(t.to(like.value.dtype())); }

  ModuleSite site_;
  VeraConfig config_;
  Parameter d_, b_;
  Tensor down_, up_;  // A, B
};

}  // namespace

ModuleAdapterKind vera_adapter() {
  return module_adapter<Vera, VeraConfig>(
      {.name = "VERA",
       .summary = "two vectors a module between drawn matrices that all modules share",
       .source = "Kopiczko et al. 2023, arXiv:2310.11454"});
}

}  // namespace lathe
