// Products with a weight: the only place where a layer meets the elements of a matrix, so that a
// quantised weight or an adapter acts in all of them.
#pragma once

#include <optional>
#include <vector>

#include "lathe/nn/pass.h"

namespace lathe {

namespace ops {
struct ExpertPlan;  // ops/moe_plan.h
}

// x [.., I], weight [O, I] and bias [O] or none -> x·Wᵀ + b [.., O], of x's dtype.
Var product(const Pass& pass, const Parameter& weight, const Var& x,
            const std::optional<Parameter>& bias = std::nullopt);
// The same with a result in the accumulation dtype (ops/common.h): logits.
Var wide_product(const Pass& pass, const Parameter& weight, const Var& x,
                 const std::optional<Parameter>& bias = std::nullopt);
// ops::router_logits().
Var scores(const Pass& pass, const Parameter& weight, const Var& x,
           const std::optional<Parameter>& bias = std::nullopt);
// ops::grouped_linear() with the matrices of experts, one below the other in `weight`.
Var expert_product(const Pass& pass, const Parameter& weight, const Var& x,
                   const std::optional<Parameter>& bias, const ops::ExpertPlan& plan);

// The matrix itself, or what an adapter has in its place, without what adapters add to it. A packed
// weight is made dense, of `packed_as`, without a gradient.
Var matrix_of(const Pass& pass, const Parameter& weight, DType packed_as);
// The matrix itself with what adapters add to it, for products in another order or by parts. A
// packed weight is made dense, of `packed_as`, without a gradient. Error kShape if the rows of the
// pass have different adapters.
Var whole_weight(const Pass& pass, const Parameter& weight, DType packed_as);

// The same for each stretch of rows with the same adapters.
struct WeightOfRows {
  int64_t first, rows;  // of the pass
  Var weight;
};
std::vector<WeightOfRows> whole_weights(const Pass& pass, const Parameter& weight, DType packed_as,
                                        int64_t rows);

}  // namespace lathe
