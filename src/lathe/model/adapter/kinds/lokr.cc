// LoKr: ΔW = scale · W₁ ⊗ W₂, a Kronecker product whose factors may be products of narrow matrices
// (Yeh et al. 2023, arXiv:2309.14859).
#include <cmath>

#include "lathe/model/adapter/module_adapter.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

struct LoKrConfig {
  bool decompose_both = false;
  int64_t decompose_factor = -1;

  void visit(Visitor& v) {
    v.field("decompose_both", decompose_both, "both factors may be products of narrow matrices");
    v.field("decompose_factor", decompose_factor,
            "largest size of the first factor; -1: near the square root", at_least(-1));
  }
};

struct Sizes {
  int64_t first, second;  // first ≤ second, unless `most` divides the size
};

// Two numbers whose product is `size`: `most` and the rest if it divides, else the pair with the
// smallest sum whose smaller one is at most `most`.
Sizes factorise(int64_t size, int64_t most) {
  if (most > 0 && size % most == 0) return {most, size / most};
  if (most <= 0) most = size;
  Sizes best{1, size};
  for (int64_t m = 2; m <= most && m * m <= size; ++m)
    if (size % m == 0) best = {m, size / m};
  return best;
}

Parameter drawn(int64_t rows, int64_t columns) {
  return {{rows, columns},
          {Initializer::Kind::kNormal, 1 / std::sqrt(3.0 * static_cast<double>(columns))}};
}
Parameter zeros(int64_t rows, int64_t columns) {
  return {{rows, columns}, {Initializer::Kind::kZeros, 0}};
}

// A matrix, or the product of two.
class Factor {
 public:
  Factor(std::string name, int64_t rows, int64_t columns, int64_t rank, bool whole, bool zero)
      : name_(std::move(name)) {
    if (whole) {
      whole_.emplace(zero ? zeros(rows, columns) : drawn(rows, columns));
    } else {
      a_.emplace(zero ? zeros(rows, rank) : drawn(rows, rank));
      b_.emplace(drawn(rank, columns));
    }
  }
  Var value(const Pass& pass) const {
    return whole_ ? pass.use(*whole_) : matmul(pass.use(*a_), pass.use(*b_));
  }
  void visit(ModuleVisitor& v) {
    if (whole_) v.parameter(name_, *whole_);
    if (a_) v.parameter(name_ + "_a", *a_);
    if (b_) v.parameter(name_ + "_b", *b_);
  }

 private:
  std::string name_;
  std::optional<Parameter> whole_, a_, b_;
};

class LoKr : public ModuleAdapter {
 public:
  LoKr(const ModuleSite& site, const LoKrConfig& config)
      : scale_(site.alpha / static_cast<double>(site.rank)) {
    const Sizes out = factorise(site.outputs, config.decompose_factor),
                in = factorise(site.inputs, config.decompose_factor);
    const bool small_first = 2 * site.rank < std::max(out.first, in.first),
               small_second = 2 * site.rank < std::max(out.second, in.second);
    first_.emplace("lokr_w1", out.first, in.first, site.rank,
                   !(config.decompose_both && small_first), true);
    second_.emplace("lokr_w2", out.second, in.second, site.rank, !small_second, false);
  }

  static ModuleAdapterTraits traits(const ModuleSite&, const LoKrConfig&) {
    return {.tensors = {"lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b"},
            .alpha_key = "alpha"};
  }

  std::string_view kind() const override { return "LoKr"; }
  void visit(ModuleVisitor& v) override {
    first_->visit(v);
    second_->visit(v);
  }

  Var added(const Pass& pass, const Product& p) const override {
    return ops::linear(p.x, delta(pass), Var(), p.out);
  }
  Var weight(const Pass& pass, const Var& w) const override { return plus(w, delta(pass)); }

 private:
  Var delta(const Pass& pass) const {
    const Var a = first_->value(pass), b = second_->value(pass);
    const int64_t m = a.shape()[0], n = a.shape()[1], p = b.shape()[0], q = b.shape()[1];
    const Var all = ops::linear(ops::reshape(a, {m * n, 1}), ops::reshape(b, {p * q, 1}), Var());
    const Var kronecker = ops::rearrange(all, {m, n, p, q}, {0, 2, 1, 3});
    return ops::scale(ops::reshape(kronecker, {m * p, n * q}), scale_);
  }

  double scale_;
  std::optional<Factor> first_, second_;
};

}  // namespace

ModuleAdapterKind lokr_adapter() {
  return module_adapter<LoKr, LoKrConfig>({.name = "LOKR",
                                           .summary = "a Kronecker product of two small matrices",
                                           .source = "Yeh et al. 2023, arXiv:2309.14859"});
}

}  // namespace lathe
