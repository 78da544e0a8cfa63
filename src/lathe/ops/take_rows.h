// Some rows of a matrix of activations, in any order.
#pragma once

#include "lathe/autograd/tape.h"

namespace lathe::ops {

// x [N, C], rows i32 [n], each below N and none twice -> [n, C] of x's dtype. The gradient of the other
// rows is 0. Errors: kShape.
Var take_rows(const Var& x, const Tensor& rows);

}  // namespace lathe::ops
