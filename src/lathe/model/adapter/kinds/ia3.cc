// IA³: a factor for each output of a layer, or, for feed-forward layers, for each input (Liu et al.
// 2022, arXiv:2205.05638).
#include "lathe/model/adapter/module_adapter.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

struct Ia3Config {
  std::vector<std::string> feedforward_modules;

  void visit(Visitor& v) {
    v.field("feedforward_modules", feedforward_modules,
            "those of target_modules whose inputs, not outputs, are scaled");
  }
};

class Ia3 : public ModuleAdapter {
 public:
  Ia3(const ModuleSite& site, const Ia3Config& config)
      : by_input_(names_module(config.feedforward_modules, site.module, "feedforward_modules")),
        l_(by_input_ ? Shape{1, site.inputs} : Shape{site.outputs, 1},
           {Initializer::Kind::kOnes, 0}) {}

  static ModuleAdapterTraits traits(const ModuleSite&, const Ia3Config&) {
    return {.tensors = {"ia3_l"}, .rank_key = {}};
  }

  std::string_view kind() const override { return "IA³"; }
  void visit(ModuleVisitor& v) override { v.parameter("ia3_l", l_); }

  Var added(const Pass& pass, const Product& p) const override {
    const Var change = ops::shift(factors_of(pass), -1);
    if (!by_input_) return ops::multiply(p.y(), change);
    return ops::linear(ops::multiply(p.x, change), p.w(), Var(), p.out);
  }
  Var weight(const Pass& pass, const Var& w) const override {
    return by_input_ ? ops::multiply(w, factors_of(pass)) : scale_rows_of(w, factors_of(pass));
  }
  bool changes_bias() const override { return !by_input_; }
  Var bias(const Pass& pass, const Var& b) const override {
    return by_input_ || !b.defined() ? b : ops::multiply(b, factors_of(pass));
  }

 private:
  Var factors_of(const Pass& pass) const { return ops::reshape(pass.use(l_), {l_.shape.numel()}); }

  bool by_input_;
  Parameter l_;
};

}  // namespace

ModuleAdapterKind ia3_adapter() {
  return module_adapter<Ia3, Ia3Config>({.name = "IA3",
                                         .summary = "a factor for each output or input of a layer",
                                         .source = "Liu et al. 2022, arXiv:2205.05638"});
}

}  // namespace lathe
