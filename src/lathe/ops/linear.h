// y = x·Wᵀ + b.
#pragma once

#include <optional>

#include "lathe/autograd/tape.h"

namespace lathe::ops {

// x [.., I], w [O, I], b [O] or undefined -> y [.., O] of x's dtype, or of `out_dtype`. w has x's
// dtype, or bf16 with an f32 x: it is widened as it is read, so that the weights of a file can be
// used unchanged. Saves x and w. Errors: kShape.
Var linear(const Var& x, const Var& w, const Var& b, std::optional<DType> out_dtype = std::nullopt);

}  // namespace lathe::ops
