#include "lathe/nn/moe/linear_router.h"

#include <algorithm>
#include <cmath>

#include "lathe/nn/product.h"
#include "lathe/ops/moe_routing.h"

namespace lathe {

LinearRouter::LinearRouter(const RouterShape& s)
    : config_(s.config),
      weight_({s.config.num_experts, s.hidden_size}, {Initializer::Kind::kNormal, s.init_std}) {
  weight_.full_precision = true;
  if (s.config.router_bias)
    bias_.emplace(Shape{s.config.num_experts}, Initializer{Initializer::Kind::kZeros, 0});
}

void LinearRouter::visit(ModuleVisitor& v) {
  v.parameter("weight", weight_);
  if (bias_) v.parameter("bias", *bias_);
}

Var LinearRouter::logits(const Forward& f, const Var& x) const {
  Var input = ops::cast(x, x.value.dtype() == DType::kF64 ? DType::kF64 : DType::kF32);
  if (f.training() && !config_.jitter_experts)
    input = ops::jitter(input, config_.router_jitter_noise, f.rng.fork("router_jitter"));
  return scores(*f.pass, weight_, input, bias_);
}

int64_t LinearRouter::even_share(int64_t tokens, int64_t choices, double factor) const {
  const double each = static_cast<double>(choices * tokens) / static_cast<double>(experts());
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(factor * each)));
}

std::optional<int64_t> LinearRouter::capacity(const Forward& f, int64_t tokens,
                                              int64_t choices) const {
  const std::optional<int64_t>& fixed = config_.expert_capacity;
  const double factor = f.training() ? config_.capacity_factor : config_.eval_capacity_factor;
  if (factor == 0) return fixed;
  const int64_t by_factor = even_share(tokens, choices, factor);
  return std::min(by_factor, fixed.value_or(by_factor));
}

ops::ExpertPlan LinearRouter::plan(const Forward& f, const Tensor& choices) const {
  const Sequences& sequences = f.rows->sequences;
  std::vector<int64_t> capacities;
  for (int64_t b = 0; b < sequences.count(); ++b)
    if (const auto most = capacity(f, sequences.length(b), choices.size(1)))
      capacities.push_back(*most);
  return ops::plan_experts(capacities.empty()
                               ? choices
                               : ops::drop_over_capacity(choices, experts(), sequences, capacities),
                           experts());
}

}  // namespace lathe
