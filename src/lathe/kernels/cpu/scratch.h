// Working memory of one kernel call, one slice per thread, from the tensors' allocator.
#pragma once

#include "lathe/tensor/storage.h"

namespace lathe::kernels {

class Scratch {
 public:
  // What accounts of memory call it.
  static constexpr const char* kLabel = "kernels";

  Scratch(int64_t floats_per_thread, int threads)
      : stride_((floats_per_thread + 15) / 16 * 16),
        bytes_(static_cast<size_t>(stride_ * threads) * sizeof(float)),
        data_(host_allocator().allocate(bytes_, kLabel)) {}
  ~Scratch() { host_allocator().release(data_, bytes_, kLabel); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  float* of_thread(int thread) const {
    return static_cast<float*>(static_cast<void*>(data_)) + thread * stride_;
  }

 private:
  int64_t stride_;
  size_t bytes_;
  std::byte* data_;
};

}  // namespace lathe::kernels
