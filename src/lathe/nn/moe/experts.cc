#include "lathe/nn/moe/experts.h"

#include <numeric>

#include "lathe/nn/product.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/moe.h"

namespace lathe {
namespace {

int64_t rows_of(const ExpertLinear::Options& o) {
  return o.experts * std::accumulate(o.parts.begin(), o.parts.end(), int64_t{0});
}

std::vector<int64_t> widths(bool gated, int64_t width) {
  return gated ? std::vector{width, width} : std::vector{width};
}

}  // namespace

ExpertLinear::ExpertLinear(const Options& o)
    : weight_({rows_of(o), o.inputs}, {Initializer::Kind::kNormal, o.init_std}) {
  for (int64_t e = 0; e < o.experts; ++e)
    weight_.parts.insert(weight_.parts.end(), o.parts.begin(), o.parts.end());
  if (!o.bias) return;
  bias_.emplace(Shape{rows_of(o)}, Initializer{Initializer::Kind::kZeros, 0});
  bias_->parts = weight_.parts;
}

Var ExpertLinear::forward(const Forward& f, const Var& x, const ops::ExpertPlan& plan) const {
  const Var bias = bias_ ? f.use(*bias_) : Var();
  // What an adapter adds to a weight, it adds to the elements.
  if (weight_.value.packed() != nullptr && f.pass->adapters == nullptr)
    return ops::grouped_packed_linear(x, *weight_.value.packed(), bias, plan);
  return ops::grouped_linear(x, whole_weight(*f.pass, weight_, x.value.dtype()), bias, plan);
}

void ExpertLinear::visit(ModuleVisitor& v) {
  v.parameter("weight", weight_);
  if (bias_) v.parameter("bias", *bias_);
}

Experts::Experts(int64_t experts, bool gated, const FeedForwardShape& o)
    : gated_(gated),
      activation_(o.activation),
      up_({.experts = experts,
           .inputs = o.hidden_size,
           .parts = widths(gated, o.intermediate_size),
           .bias = o.bias,
           .init_std = o.init_std}),
      down_({.experts = experts,
             .inputs = o.intermediate_size,
             .parts = {o.hidden_size},
             .bias = o.bias,
             .init_std = o.output_init_std}) {}

Var Experts::forward(const Forward& f, const Var& x, const ops::ExpertPlan& plan) const {
  const Var h = up_.forward(f, x, plan);
  return down_.forward(f, gated_ ? ops::gated(activation_, h) : ops::activation(activation_, h),
                       plan);
}

void Experts::visit(ModuleVisitor& v) {
  v.child(gated_ ? "gate_up" : "up", up_);
  v.child("down", down_);
}

}  // namespace lathe
