#include "lathe/tensor/arena.h"

#include <algorithm>

namespace lathe {

Tensor Arena::bytes(int64_t bytes) {
  constexpr int64_t kAlignment = 64;
  if (!block_.defined() || used_ + bytes > block_.numel()) {
    block_ = Tensor({std::max(bytes, block_bytes_)}, DType::kU8);
    used_ = 0;
  }
  const int64_t first = used_;
  used_ = (first + bytes + kAlignment - 1) / kAlignment * kAlignment;
  return block_.narrow(0, first, bytes);
}

}  // namespace lathe
