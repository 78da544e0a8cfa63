// Products with a weight: the only place where a layer meets the elements of a matrix, so that a
// quantised weight or an adapter acts in all of them.
#pragma once

#include <optional>

#include "lathe/nn/pass.h"

namespace lathe {

// x [.., I], weight [O, I] and bias [O] or none -> x·Wᵀ + b [.., O], of x's dtype.
Var product(const Pass& pass, const Parameter& weight, const Var& x,
            const std::optional<Parameter>& bias = std::nullopt);

// The matrix itself with what adapters add to it, for products in another order or by parts. A
// packed weight is made dense, of `packed_as`, without a gradient.
Var whole_weight(const Pass& pass, const Parameter& weight, DType packed_as);

}  // namespace lathe
