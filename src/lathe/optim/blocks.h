// The independent matrices inside a parameter, for optimisers that look at a matrix as a whole.
#pragma once

#include <cstdint>
#include <vector>

#include "lathe/nn/parameter.h"

namespace lathe::optim {

// `rows` · `cols` contiguous elements, row-major, from element `offset` of the parameter.
struct MatrixBlock {
  int64_t offset, rows, cols;
};

// Rank 2: one block for each of parameter.parts, or the whole. Rank 3 and more, e.g. experts [E, F,
// C]: one block for each index of the leading dimensions. Below rank 2: none. Error kShape when the
// parts do not add up to dimension 0, or are given for a parameter of another rank.
std::vector<MatrixBlock> matrix_blocks(const Parameter& parameter);

}  // namespace lathe::optim
