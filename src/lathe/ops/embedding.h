// Rows of a table by id.
#pragma once

#include <optional>

#include "lathe/autograd/tape.h"

namespace lathe::ops {

// ids i32 [..], table [V, C] -> [.., C] of the table's dtype, or of `out_dtype`.
// Errors: kData when an id is outside [0, V).
Var embedding(const Var& table, const Tensor& ids, std::optional<DType> out_dtype = std::nullopt);

}  // namespace lathe::ops
