// A run without work: kernels do nothing and tensors hold nothing (DryMemory), so that what a training
// step would allocate is known in milliseconds, for a model of any size, by running the step itself.
//
//   const DryRun dry;
//   TrainLoop(recipe, …).step(1);
//   dry.allocator().peak_bytes();
//
// Kernels return 0 and leave their outputs as they are: zeros. Device::kCpu alone; kRef computes.
// Not thread-safe: one thread opens the run and calls the kernels. Not within an AccountScope.
#pragma once

#include "lathe/tensor/storage.h"

namespace lathe::kernels {

class DryRun {
 public:
  DryRun();
  ~DryRun();
  DryRun(const DryRun&) = delete;
  DryRun& operator=(const DryRun&) = delete;

  const HostAllocator& allocator() const { return memory_.allocator(); }

 private:
  DryMemory memory_;
};

}  // namespace lathe::kernels
