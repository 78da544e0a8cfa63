// LoRA: ΔW = scale · B·A (Hu et al. 2021, arXiv:2106.09685), with rsLoRA's scale, DoRA's magnitudes,
// biases behind B, and PiSSA's beginning; of layers, tables and experts.
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/model/adapter/module_adapter.h"
#include "lathe/model/adapter/svd.h"
#include "lathe/nn/initialize.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/embedding.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/moe.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

struct LoraConfig {
  bool use_rslora = false, use_dora = false, lora_bias = false;
  std::string init_lora_weights = "true";
  double lora_dropout = 0;

  void visit(Visitor& v) {
    v.field("use_rslora", use_rslora, "scale by lora_alpha / √r (Kalajdzievski, arXiv:2312.03732)");
    v.field("use_dora", use_dora,
            "train the length of each row of W apart from its direction (Liu et al., "
            "arXiv:2402.09353)");
    v.field("lora_bias", lora_bias, "train a bias behind B");
    v.choice(
        "init_lora_weights", init_lora_weights, {"true", "false", "gaussian", "pissa"},
        "true: A is drawn, B is zero; false: both are drawn; gaussian: A with a deviation of 1/r; "
        "pissa: the largest singular directions of W (Meng et al., arXiv:2404.02948)");
    v.field("lora_dropout", lora_dropout, "dropout on what A reads of a layer's input",
            Limits{.minimum = 0, .maximum = 1, .exclusive_maximum = true});
  }
  void check(const ModuleSite&, const KeyErrors& keys) const {
    if (init_lora_weights == "pissa" && (use_dora || use_rslora || lora_bias))
      keys.refuse(
          "init_lora_weights",
          "\"pissa\" is saved as a plain LoRA, which use_dora, use_rslora and lora_bias are "
          "not; leave them out");
    if (use_dora && lora_bias)
      keys.refuse("lora_bias", "has no place in DoRA's directions; set use_dora or lora_bias");
  }
};

Parameter factor(const Shape& shape, int64_t inputs, bool zero) {
  if (zero) return {shape, {Initializer::Kind::kZeros, 0}};
  // The variance of PyTorch's linear layers, 1 / (3·inputs).
  return {shape, {Initializer::Kind::kNormal, 1 / std::sqrt(3.0 * static_cast<double>(inputs))}};
}

class LoraAdapterModule : public ModuleAdapter {
 public:
  LoraAdapterModule(const ModuleSite& site, const LoraConfig& config)
      : site_(site), config_(config) {
    const auto r = static_cast<double>(site.rank);
    scale_ = site.alpha / (config.use_rslora ? std::sqrt(r) : r);
    const int64_t stack = std::max<int64_t>(site.experts, 1), ranks = stack * site.rank;
    const bool plain = config.init_lora_weights != "false";
    require(
        (!site.is_table && site.experts == 0) ||
            (!config.use_dora && !config.lora_bias && config.init_lora_weights != "pissa"),
        ErrorKind::kConfig, site.module,
        "use_dora, lora_bias and init_lora_weights = \"pissa\" act on linear layers, not on {}; "
        "leave it out of the targets",
        site.is_table ? "tables" : "stacked experts");
    if (site.is_table) {  // PEFT begins those with A at zero
      a_ = factor({site.rank, site.inputs}, site.inputs, plain);
      b_ = {{site.outputs, site.rank}, {Initializer::Kind::kNormal, 1.0}};
    } else {
      a_ = factor({ranks, site.inputs}, site.inputs, false);
      b_ = factor({site.outputs, ranks}, site.rank, plain);
    }
    if (config.init_lora_weights == "gaussian" && !site.is_table) a_.init.std = 1 / r;
    if (config.lora_bias)
      b_bias_.emplace(Shape{site.outputs}, Initializer{Initializer::Kind::kZeros, 0});
    if (config.use_dora)
      magnitude_.emplace(Shape{site.outputs}, Initializer{Initializer::Kind::kOnes, 0});
    if (config.init_lora_weights == "pissa") {
      a0_.emplace(a_);
      b0_.emplace(b_);
      a0_->trainable = b0_->trainable = false;
    }
  }

  static ModuleAdapterTraits traits(const ModuleSite&, const LoraConfig& config) {
    return {.tensors = {"lora_A.weight", "lora_B.weight", "lora_B.bias", "lora_magnitude_vector",
                        "lora_embedding_A", "lora_embedding_B"},
            .alpha_key = "lora_alpha",
            .tables = true,
            .experts = true,
            .keeps_configuration = config.init_lora_weights != "pissa"};
  }

  std::string_view kind() const override { return "LoRA"; }
  void visit(ModuleVisitor& v) override {
    v.parameter(site_.is_table ? "lora_embedding_A" : "lora_A.weight", a_);
    v.parameter(site_.is_table ? "lora_embedding_B" : "lora_B.weight", b_);
    if (b_bias_) v.parameter("lora_B.bias", *b_bias_);
    if (magnitude_) v.parameter("lora_magnitude_vector", *magnitude_);
    if (a0_) v.parameter("first_A.weight", *a0_);
    if (b0_) v.parameter("first_B.weight", *b0_);
  }

  Var added(const Pass& pass, const Product& p) const override {
    if (magnitude_) return added_by_dora(pass, p);
    return update(pass, p);
  }

  Var weight(const Pass& pass, const Var& w) const override {
    if (site_.experts > 0) return plus(w, delta_of_experts(pass));
    if (site_.is_table) return plus(w, ops::transpose(delta(pass)));
    const Var sum = plus(w, delta(pass));
    return magnitude_ ? scale_rows_of(sum, length_factors(pass, sum)) : sum;
  }

  bool changes_bias() const override { return b_bias_.has_value(); }
  Var bias(const Pass& pass, const Var& b) const override {
    if (!b_bias_) return b;
    const Var added = ops::scale(pass.use(*b_bias_), scale_);
    return b.defined() ? ops::add(b, added) : added;
  }

  Var added_to_lookup(const Pass& pass, const Tensor& ids) const override {
    const Var rows = ops::embedding(ops::transpose(pass.use(a_)), ids);
    return ops::linear(ops::scale(rows, scale_), pass.use(b_), Var());
  }

  Var added_to_experts(const Pass& pass, const Var& x, const ops::ExpertPlan& plan) const override {
    const Var narrow = ops::scale(ops::grouped_linear(x, pass.use(a_), Var(), plan), scale_);
    return ops::grouped_linear(narrow, experts_b(pass), Var(), plan);
  }

  std::vector<LowRankFactors> factors() const override {
    if (magnitude_ || b_bias_ || a0_) return {};
    const Tensor &a = a_.value.tensor(), &b = b_.value.tensor();
    if (site_.is_table) return {{a.transpose(0, 1).clone(), b, scale_}};
    if (site_.experts == 0) return {{a, b, scale_}};
    const Tensor each = experts_b({}).value;
    std::vector<LowRankFactors> all;
    for (int64_t e = 0; e < site_.experts; ++e)
      all.push_back({a.narrow(0, e * site_.rank, site_.rank).clone(),
                     each.narrow(0, e * site_.outputs, site_.outputs).clone(), scale_});
    return all;
  }

  void start(const Tensor& w, const Rng& rng) override {
    ModuleAdapter::start(w, rng);
    if (magnitude_) magnitude_->value.tensor().copy_from(row_lengths(w));
    if (a0_) start_from_singular_values(w);
  }

  // The difference to the beginning, on the unchanged W: a LoRA of twice the rank.
  TensorsByName saved() const override {
    TensorsByName all = ModuleAdapter::saved();
    if (!a0_) return all;
    const int64_t r = site_.rank;
    const Tensor a({2 * r, site_.inputs}, a_.value.tensor().dtype(), a_.value.tensor().device());
    const Tensor b({site_.outputs, 2 * r}, a.dtype(), a.device());
    a.narrow(0, 0, r).copy_from(a_.value.tensor());
    a.narrow(0, r, r).copy_from(a0_->value.tensor());
    b.narrow(1, 0, r).copy_from(b_.value.tensor());
    b.narrow(1, r, r).copy_from(ops::scale(Var(b0_->value.tensor()), -1).value);
    all.erase("first_A.weight");
    all.erase("first_B.weight");
    all["lora_A.weight"] = a;
    all["lora_B.weight"] = b;
    return all;
  }

 private:
  // scale · (x·Aᵀ·Bᵀ + bias).
  Var update(const Pass& pass, const Product& p) const {
    const Var x = pass.training ? ops::dropout(p.x, config_.lora_dropout, p.rng) : p.x;
    const Var narrow = ops::scale(ops::linear(x, pass.use(a_), Var()), scale_);
    const Var b = b_bias_ ? ops::scale(pass.use(*b_bias_), scale_) : Var();
    const Var y = ops::linear(narrow, pass.use(b_), b, p.out);
    if (!a0_) return y;
    const Var first = ops::scale(ops::linear(x, pass.use(*a0_), Var()), -scale_);
    return ops::add(y, ops::linear(first, pass.use(*b0_), Var(), p.out));
  }

  // [outputs, inputs]; of tables the update of the table's transpose.
  Var delta(const Pass& pass) const {
    const Var product = matmul(pass.use(b_), pass.use(a_));
    if (!a0_) return ops::scale(product, scale_);
    const Var first = matmul(pass.use(*b0_), pass.use(*a0_));
    return ops::scale(ops::add(product, ops::scale(first, -1)), scale_);
  }

  // B [outputs, r·E] has column j of expert e at j·E + e: as [E·outputs, r].
  Var experts_b(const Pass& pass) const {
    return ops::reshape(
        ops::rearrange(pass.use(b_), {site_.outputs, site_.rank, site_.experts}, {2, 0, 1}),
        {site_.experts * site_.outputs, site_.rank});
  }

  Var delta_of_experts(const Pass& pass) const {
    const Var a = pass.use(a_), b = experts_b(pass);
    std::vector<Var> all;
    for (int64_t e = 0; e < site_.experts; ++e)
      all.push_back(matmul(ops::narrow(b, 0, e * site_.outputs, site_.outputs),
                           ops::narrow(a, 0, e * site_.rank, site_.rank)));
    return ops::scale(ops::join_rows(all), scale_);
  }

  // ‖row of w‖, in double precision: [outputs].
  static Tensor row_lengths(const Tensor& w) {
    std::vector<double> lengths;
    for (int64_t row = 0; row < w.size(0); ++row) {
      double sum = 0;
      for (const double v : w.narrow(0, row, 1).to_vector()) sum += v * v;
      lengths.push_back(std::sqrt(sum));
    }
    return Tensor::of<double>(lengths, {w.size(0)}, w.device());
  }

  // m / ‖W + ΔW‖, where the lengths count as constants, as in the paper's section 4.3.
  Var length_factors(const Pass& pass, const Var& sum) const {
    std::vector<double> inverse = row_lengths(sum.value).to_vector();
    for (double& v : inverse) v = 1 / v;
    const Tensor& m = magnitude_->value.tensor();
    return ops::multiply(pass.use(*magnitude_),
                         Tensor::of<double>(inverse, m.shape(), m.device()).to(m.dtype()));
  }

  Var added_by_dora(const Pass& pass, const Product& p) const {
    Pass constant = pass;
    constant.tape = nullptr;
    const Var factors = length_factors(pass, plus(Var(p.w().value), delta(constant)));
    Var base = p.y();
    if (const Var b = p.b(); b.defined()) base = ops::add(base, ops::scale(b, -1));
    const Var sum = ops::multiply(ops::add(base, update(pass, p)), factors);
    return ops::add(sum, ops::scale(base, -1));
  }

  void start_from_singular_values(const Tensor& w) {
    const Svd svd = singular_values(w, site_.rank);
    for (int64_t i = 0; i < site_.rank; ++i) {
      const double root = std::sqrt(svd.values[static_cast<size_t>(i)] / scale_);
      const auto set = [&](const Tensor& to, const Tensor& from) {
        to.copy_from(ops::scale(Var(from), root).value);
      };
      for (const Parameter* a : {&a_, &*a0_})
        set(a->value.tensor().narrow(0, i, 1), svd.right.narrow(0, i, 1));
      for (const Parameter* b : {&b_, &*b0_})
        set(b->value.tensor().narrow(1, i, 1), svd.left.narrow(1, i, 1));
    }
  }

  ModuleSite site_;
  LoraConfig config_;
  double scale_;
  Parameter a_, b_;
  std::optional<Parameter> b_bias_, magnitude_;
  std::optional<Parameter> a0_, b0_;  // where PiSSA began
};

}  // namespace

ModuleAdapterKind lora_adapter() {
  return module_adapter<LoraAdapterModule, LoraConfig>(
      {.name = "LORA",
       .summary = "W + scale · B·A with two narrow matrices",
       .source = "Hu et al. 2021, arXiv:2106.09685"});
}

}  // namespace lathe
