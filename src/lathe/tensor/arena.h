// Memory for many tensors that are read in turn, such as the weights of a model: slices of large
// blocks, one behind the other. The operating system backs large blocks with huge pages, where
// neither the translation of addresses nor the processor's prefetcher stops every 4 KiB: products
// with quantised weights of a megabyte each read a quarter to a half more bytes a second.
#pragma once

#include "lathe/tensor/tensor.h"

namespace lathe {

// Not thread-safe. Slices may outlive the arena; a block is freed when its last slice is.
class Arena {
 public:
  // `block_bytes` is what it asks for at a time: best the size of everything, if that is known.
  explicit Arena(int64_t block_bytes = int64_t{64} << 20) : block_bytes_(block_bytes) {}

  // Uninitialised bytes, as kU8 [bytes], aligned to 64. Throws kDevice without memory.
  Tensor bytes(int64_t bytes);

 private:
  int64_t block_bytes_, used_ = 0;
  Tensor block_;
};

}  // namespace lathe
