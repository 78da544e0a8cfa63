// A weighted sum of a tensor's elements: what ties a loss that was computed elsewhere to a tape.
#pragma once

#include <span>

#include "lathe/autograd/tape.h"

namespace lathe::ops {

// x, any shape, f32 or f64; as many weights -> Σ x·w, a scalar of x's dtype. With w = dL/dx it is the
// node from which the backward of L begins. Errors: kShape.
Var dot(const Var& x, std::span<const double> weights);

}  // namespace lathe::ops
