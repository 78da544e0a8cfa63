// OFT: the inputs of a layer are rotated in blocks, x' = x·R with an orthogonal R made from a skew
// matrix Q by Cayley's formula (Qiu et al. 2023, arXiv:2306.07280; as a series: Qiu et al. 2025,
// arXiv:2506.19847).
#include <vector>

#include "lathe/base/error.h"
#include "lathe/model/adapter/module_adapter.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/moe.h"
#include "lathe/ops/moe_routing.h"
#include "lathe/ops/rearrange.h"

namespace lathe {
namespace {

struct OftConfig {
  int64_t oft_block_size = 32, num_cayley_neumann_terms = 5;
  bool block_share = false, use_cayley_neumann = true;

  void visit(Visitor& v) {
    v.field("oft_block_size", oft_block_size,
            "inputs that are rotated together; 0: as many as r "
            "blocks leave",
            at_least(0));
    v.field("num_cayley_neumann_terms", num_cayley_neumann_terms,
            "terms of the series of Cayley's formula", at_least(1));
    v.field("block_share", block_share, "one rotation for all blocks of a module");
    v.field("use_cayley_neumann", use_cayley_neumann,
            "a series in place of the inverse in Cayley's formula");
  }
  void check(const ModuleSite& site, const KeyErrors& keys) const {
    if (oft_block_size > 0 && site.inputs % oft_block_size != 0)
      keys.refuse("oft_block_size",
                  fmt::format("{} does not divide the {} inputs of '{}'; choose a divisor",
                              oft_block_size, site.inputs, site.module));
    if (oft_block_size == 0 && (site.rank < 1 || site.inputs % site.rank != 0))
      keys.refuse("r",
                  fmt::format("{} blocks do not divide the {} inputs of '{}'; choose a divisor",
                              site.rank, site.inputs, site.module));
    if (!use_cayley_neumann)
      keys.refuse("use_cayley_neumann",
                  "false needs an inverse in every step, which is not supported; set it to true");
  }
};

// [blocks·n, k] rows of equally many blocks, times the transpose of each block's matrix, of
// [blocks·m, k] -> [blocks·n, m].
Var product_of_blocks(const Var& x, const Var& w, int64_t blocks) {
  ops::ExpertPlan plan;
  const int64_t each = x.shape()[0] / blocks;
  for (int64_t b = 0; b <= blocks; ++b) plan.begin.push_back(b * each);
  plan.count.assign(static_cast<size_t>(blocks), each);
  return ops::grouped_linear(x, w, Var(), plan);
}

class Oft : public ModuleAdapter {
 public:
  Oft(const ModuleSite& site, const OftConfig& config)
      : config_(config),
        size_(config.oft_block_size > 0 ? config.oft_block_size : site.inputs / site.rank),
        blocks_(site.inputs / size_),
        own_(config.block_share ? 1 : blocks_),
        weight_({own_, size_ * (size_ - 1) / 2}, {Initializer::Kind::kZeros, 0}) {}

  static ModuleAdapterTraits traits(const ModuleSite&, const OftConfig&) {
    return {.tensors = {"oft_R.weight"}, .default_rank = 0};
  }

  std::string_view kind() const override { return "OFT"; }
  void visit(ModuleVisitor& v) override { v.parameter("oft_R.weight", weight_); }

  Var added(const Pass& pass, const Product& p) const override {
    return ops::linear(turned(p.x, rotation_less_identity(pass), false), p.w(), Var(), p.out);
  }
  Var weight(const Pass& pass, const Var& w) const override {
    return plus(w, turned(w, rotation_less_identity(pass), true));
  }

 private:
  // Each block of every row times M, or times Mᵀ; M [blocks·size, size].
  Var turned(const Var& x, const Var& m, bool transposed) const {
    const int64_t rows = x.shape()[0];
    const Var grouped =
        ops::reshape(ops::rearrange(x, {rows, blocks_, size_}, {1, 0, 2}), {blocks_ * rows, size_});
    const Var own = ops::cast(m, x.value.dtype());
    const Var w = transposed ? own : transposed_blocks(own, blocks_);
    const Var product = product_of_blocks(grouped, w, blocks_);
    return ops::reshape(ops::rearrange(product, {blocks_, rows, size_}, {1, 0, 2}),
                        {rows, blocks_ * size_});
  }

  Var transposed_blocks(const Var& m, int64_t blocks) const {
    return ops::reshape(ops::rearrange(m, {blocks, size_, size_}, {0, 2, 1}),
                        {blocks * size_, size_});
  }

  // Q of each block, from the elements above its diagonal, row by row.
  Var skew(const Pass& pass) const {
    const int64_t elements = size_ * (size_ - 1) / 2;
    std::vector<double> signs(static_cast<size_t>(size_ * size_ * elements), 0.0);
    int64_t at = 0;
    for (int64_t i = 0; i < size_; ++i)
      for (int64_t j = i + 1; j < size_; ++j, ++at) {
        signs[static_cast<size_t>((i * size_ + j) * elements + at)] = 1;
        signs[static_cast<size_t>((j * size_ + i) * elements + at)] = -1;
      }
    const Tensor& like = weight_.value.tensor();
    const Tensor matrix =
        Tensor::of<double>(signs, {size_ * size_, elements}, like.device()).to(like.dtype());
    return ops::reshape(ops::linear(pass.use(weight_), Var(matrix), Var()), {own_ * size_, size_});
  }

  // R − I of every block: (I − Q)⁻¹·(I + Q) − I ≈ 2·Q + 2·Q² + … + Qⁿ⁻¹ with n terms in all.
  Var rotation_less_identity(const Pass& pass) const {
    const Var q = skew(pass), turned_q = transposed_blocks(q, own_);
    const int64_t terms = config_.num_cayley_neumann_terms;
    Var sum = ops::scale(q, terms > 1 ? 2 : 0), power = q;
    for (int64_t exponent = 2; exponent < terms; ++exponent) {
      power = product_of_blocks(power, turned_q, own_);
      const bool last = exponent == terms - 1;
      sum = ops::add(sum, ops::scale(power, last && terms > 3 ? 1 : 2));
      if (terms == 3) sum = ops::add(sum, product_of_blocks(power, turned_q, own_));
    }
    if (own_ == blocks_) return sum;
    return ops::join_rows(std::vector<Var>(static_cast<size_t>(blocks_), sum));
  }

  OftConfig config_;
  int64_t size_, blocks_, own_;
  Parameter weight_;
};

}  // namespace

ModuleAdapterKind oft_adapter() {
  return module_adapter<Oft, OftConfig>({.name = "OFT",
                                         .summary = "the inputs of a layer rotated in blocks",
                                         .source = "Qiu et al. 2023, arXiv:2306.07280"});
}

}  // namespace lathe
