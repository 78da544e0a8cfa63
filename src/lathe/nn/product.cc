#include "lathe/nn/product.h"

#include "lathe/base/error.h"
#include "lathe/nn/adapters.h"
#include "lathe/ops/common.h"
#include "lathe/ops/linear.h"
#include "lathe/ops/moe.h"
#include "lathe/ops/moe_routing.h"

namespace lathe {
namespace {

Var use(const Pass& pass, const std::optional<Parameter>& p) { return p ? pass.use(*p) : Var(); }

// What a product is taken with: elements, the model's own or an adapter's in their place, or a
// packed matrix.
struct Operand {
  Var elements;
  const ops::PackedMatrix* packed = nullptr;

  Var dense(DType packed_as) const {
    return packed != nullptr ? Var(packed->dense(packed_as)) : elements;
  }
};

Operand operand(const Pass& pass, const Parameter& weight) {
  if (pass.adapters != nullptr)
    if (auto other = pass.adapters->replacement(pass, weight, ParameterUse::kProduct))
      return {*std::move(other)};
  if (weight.value.packed() != nullptr) return {Var(), weight.value.packed()};
  return {pass.own(weight)};
}

Var adapted(const Pass& pass, const Parameter& weight, const Var& x, const Var& y, const Var& b) {
  return pass.adapters != nullptr ? pass.adapters->add_to_product(pass, weight, x, y, b) : y;
}

}  // namespace

Var product(const Pass& pass, const Parameter& weight, const Var& x,
            const std::optional<Parameter>& bias) {
  const Var b = use(pass, bias);
  const Operand w = operand(pass, weight);
  const Var y =
      w.packed != nullptr ? ops::packed_linear(x, *w.packed, b) : ops::linear(x, w.elements, b);
  return adapted(pass, weight, x, y, b);
}

Var wide_product(const Pass& pass, const Parameter& weight, const Var& x,
                 const std::optional<Parameter>& bias) {
  const DType wide = ops::accumulation_type(x.value.dtype());
  const Var b = use(pass, bias);
  const Operand w = operand(pass, weight);
  const Var y = w.packed != nullptr ? ops::cast(ops::packed_linear(x, *w.packed, b), wide)
                                    : ops::linear(x, w.elements, b, wide);
  return adapted(pass, weight, x, y, b);
}

Var scores(const Pass& pass, const Parameter& weight, const Var& x,
           const std::optional<Parameter>& bias) {
  const Var wide = ops::cast(x, ops::accumulation_type(x.value.dtype()));
  const Var w = operand(pass, weight).dense(x.value.dtype()), b = use(pass, bias);
  return adapted(pass, weight, wide, ops::router_logits(wide, w, b), b);
}

Var expert_product(const Pass& pass, const Parameter& weight, const Var& x,
                   const std::optional<Parameter>& bias, const ops::ExpertPlan& plan) {
  const Var b = use(pass, bias);
  const Operand w = operand(pass, weight);
  const Var y = w.packed != nullptr ? ops::grouped_packed_linear(x, *w.packed, b, plan)
                                    : ops::grouped_linear(x, w.elements, b, plan);
  return pass.adapters != nullptr ? pass.adapters->add_to_expert_product(pass, weight, x, y, plan)
                                  : y;
}

Var matrix_of(const Pass& pass, const Parameter& weight, DType packed_as) {
  return operand(pass, weight).dense(packed_as);
}

Var whole_weight(const Pass& pass, const Parameter& weight, DType packed_as) {
  const Var w = matrix_of(pass, weight, packed_as);
  if (pass.adapters == nullptr) return w;
  require(pass.adapters->stretches().size() <= 1, ErrorKind::kShape, weight.name,
          "the rows of the pass have different adapters, but one matrix is asked for all of them");
  return pass.adapters->add_to_weight(pass, weight, w, 0);
}

std::vector<WeightOfRows> whole_weights(const Pass& pass, const Parameter& weight, DType packed_as,
                                        int64_t rows) {
  const auto stretches =
      pass.adapters != nullptr ? pass.adapters->stretches() : std::vector<int64_t>();
  if (stretches.size() <= 1) return {{0, rows, whole_weight(pass, weight, packed_as)}};
  const Var w = matrix_of(pass, weight, packed_as);
  std::vector<WeightOfRows> all;
  int64_t first = 0;
  for (size_t i = 0; i < stretches.size(); first += stretches[i++])
    all.push_back({first, stretches[i], pass.adapters->add_to_weight(pass, weight, w, i)});
  require(first == rows, ErrorKind::kShape, weight.name,
          "the adapters are those of {} rows, but the pass has {}", first, rows);
  return all;
}

}  // namespace lathe
