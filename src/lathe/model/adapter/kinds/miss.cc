// MiSS: ΔW repeats a small matrix along the inputs, so that x·ΔWᵀ is a sum over the pieces of x times
// that matrix (Kang & Yin 2024, arXiv:2409.15371).
#include "lathe/base/error.h"
#include "lathe/model/adapter/module_adapter.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

struct MissConfig {
  int64_t mini_r = 1;

  void visit(Visitor& v) {
    v.field("mini_r", mini_r,
            "with init_weights = \"mini\": outputs that have numbers of their own", at_least(1));
  }
  void check(const ModuleSite& site, const KeyErrors& keys) const {
    if (site.init_weights == "bat")
      keys.refuse("init_weights",
                  "\"bat\" multiplies with blocks of W, which is not supported; use true or "
                  "\"mini\"");
    if (site.init_weights == "mini" && site.outputs % mini_r != 0)
      keys.refuse("mini_r",
                  fmt::format("{} does not divide the {} outputs of '{}'; choose a divisor", mini_r,
                              site.outputs, site.module));
  }
};

class Miss : public ModuleAdapter {
 public:
  Miss(const ModuleSite& site, const MissConfig& config)
      : site_(site),
        mini_(site.init_weights == "mini"),
        block_({site.rank, mini_ ? config.mini_r : site.outputs}, {Initializer::Kind::kZeros, 0}) {}

  static ModuleAdapterTraits traits(const ModuleSite&, const MissConfig&) {
    return {.tensors = {"miss_block"}, .default_rank = 64};
  }

  std::string_view kind() const override { return "MiSS"; }
  void visit(ModuleVisitor& v) override { v.parameter("miss_block", block_); }

  Var added(const Pass& pass, const Product& p) const override {
    const Var sums = ops::linear(p.x, Var(pieces(p.x.value.dtype())), Var());
    return ops::linear(sums, up(pass), Var(), p.out);
  }
  Var weight(const Pass& pass, const Var& w) const override {
    return plus(w, matmul(up(pass), Var(pieces(w.value.dtype()))));
  }
  std::vector<LowRankFactors> factors() const override {
    return {{pieces(block_.value.tensor().dtype()), up({}).value, 1.0}};
  }

 private:
  // [r, inputs]: input i goes to sum i mod r.
  Tensor pieces(DType dtype) const {
    return repeated_identity(site_.rank, site_.inputs, dtype, block_.value.tensor().device());
  }
  // [outputs, r].
  Var up(const Pass& pass) const {
    const Var block = pass.use(block_);
    if (!mini_) return ops::transpose(block);
    const Tensor repeat = repeated_identity(site_.outputs, block.shape()[1], block.value.dtype(),
                                            block.value.device());
    return ops::linear(Var(repeat), block, Var());
  }

  ModuleSite site_;
  bool mini_;
  Parameter block_;
};

}  // namespace

ModuleAdapterKind miss_adapter() {
  return module_adapter<Miss, MissConfig>(
      {.name = "MISS",
       .summary = "a small matrix that is repeated along the inputs",
       .source = "Kang & Yin 2024, arXiv:2409.15371"});
}

}  // namespace lathe
