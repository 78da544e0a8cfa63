// One tensor in blocks, in parallel.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lathe/tensor/blocks/block_type.h"
#include "lathe/tensor/tensor.h"

namespace lathe {

struct EncodedTensor {
  std::vector<std::byte> blocks;
  double squared_error = 0;  // sum of (decoded - original)²
};

// values f32 [.., columns], columns whole blocks. `importance` is empty or has a number for each
// column; of a tensor with three dimensions, for the columns of each of its matrices. Throws kData,
// naming tensor and element, for values that are not finite or that the type cannot hold, and for an
// importance of another length.
EncodedTensor encode_tensor(const std::string& name, const Tensor& values, const BlockType& type,
                            std::span<const float> importance);

// The opposite.
Tensor decode_tensor(std::span<const std::byte> blocks, const BlockType& type, const Shape& shape);

}  // namespace lathe
