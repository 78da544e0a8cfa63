// Rows of a table by id.
#pragma once

#include "lathe/autograd/tape.h"

namespace lathe::ops {

// ids i32 [..], table [V, C] -> [.., C]. Errors: kData when an id is outside [0, V).
Var embedding(const Var& table, const Tensor& ids);

}  // namespace lathe::ops
