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

Var matrix(const Pass& pass, const Parameter& weight, DType packed_as) {
  return weight.value.packed() != nullptr ? Var(weight.value.packed()->dense(packed_as))
                                          : pass.use(weight);
}

Var adapted(const Pass& pass, const Parameter& weight, const Var& x, const Var& y) {
  return pass.adapters != nullptr ? pass.adapters->add_to_product(pass, weight, x, y) : y;
}

}  // namespace

Var product(const Pass& pass, const Parameter& weight, const Var& x,
            const std::optional<Parameter>& bias) {
  const Var b = use(pass, bias);
  const Var y = weight.value.packed() != nullptr ? ops::packed_linear(x, *weight.value.packed(), b)
                                                 : ops::linear(x, pass.use(weight), b);
  return adapted(pass, weight, x, y);
}

Var wide_product(const Pass& pass, const Parameter& weight, const Var& x,
                 const std::optional<Parameter>& bias) {
  const DType wide = ops::accumulation_type(x.value.dtype());
  const Var b = use(pass, bias);
  if (weight.value.packed() != nullptr)
    return adapted(pass, weight, x,
                   ops::cast(ops::packed_linear(x, *weight.value.packed(), b), wide));
  return adapted(pass, weight, x, ops::linear(x, pass.use(weight), b, wide));
}

Var scores(const Pass& pass, const Parameter& weight, const Var& x,
           const std::optional<Parameter>& bias) {
  const Var wide = ops::cast(x, ops::accumulation_type(x.value.dtype()));
  const Var w = matrix(pass, weight, x.value.dtype());
  return adapted(pass, weight, wide, ops::router_logits(wide, w, use(pass, bias)));
}

Var expert_product(const Pass& pass, const Parameter& weight, const Var& x,
                   const std::optional<Parameter>& bias, const ops::ExpertPlan& plan) {
  const Var b = use(pass, bias);
  const Var y = weight.value.packed() != nullptr
                    ? ops::grouped_packed_linear(x, *weight.value.packed(), b, plan)
                    : ops::grouped_linear(x, pass.use(weight), b, plan);
  return pass.adapters != nullptr ? pass.adapters->add_to_expert_product(pass, weight, x, y, plan)
                                  : y;
}

Var whole_weight(const Pass& pass, const Parameter& weight, DType packed_as) {
  const Var w = matrix(pass, weight, packed_as);
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
  const Var w = matrix(pass, weight, packed_as);
  std::vector<WeightOfRows> all;
  int64_t first = 0;
  for (size_t i = 0; i < stretches.size(); first += stretches[i++])
    all.push_back({first, stretches[i], pass.adapters->add_to_weight(pass, weight, w, i)});
  require(first == rows, ErrorKind::kShape, weight.name,
          "the adapters are those of {} rows, but the pass has {}", first, rows);
  return all;
}

}  // namespace lathe
