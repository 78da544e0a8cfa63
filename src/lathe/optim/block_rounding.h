// Quantisation-aware training: passes read a weight as it will be in a file of quantised blocks, while
// the optimiser moves the weight itself. The gradient of what was read is taken for the weight's own
// ("straight through": Bengio et al. 2013, arXiv:1308.3432).
#pragma once

#include "lathe/tensor/blocks/block_type.h"
#include "lathe/tensor/tensor.h"

namespace lathe::optim {

// x [.., columns] of any floating dtype, columns whole blocks -> decode(encode(x)) as f32: the numbers
// of the very blocks that a file made of x has. A row with a number that is not finite is kept as it
// is, so that the loss shows it. Runs on all threads.
Tensor rounded_to_blocks(const Tensor& x, const BlockType& type);

}  // namespace lathe::optim
