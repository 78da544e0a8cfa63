// A parameter while it is trained: the copy that an optimiser moves, and the gradient that it
// reads.
#pragma once

#include "lathe/nn/parameter.h"
#include "lathe/tensor/blocks/block_type.h"

namespace lathe {

// A small value; what it points to belongs to the model and to the training state
// (train/training_state.h), and outlives it.
struct TrainedParameter {
  const Parameter* parameter;
  // f32, or f64 on Device::kRef: the value of the parameter itself, or what that is rounded from.
  Tensor master;
  GradBuffer* gradient;  // of master's shape and dtype; it may be absent until it is written
  // What compute() is rounded to, whole blocks in a row (optim/block_rounding.h); nullptr: to its
  // dtype alone.
  const BlockType* blocks = nullptr;

  const std::string& name() const { return parameter->name; }
  // What passes read: `master`, or its copy in 16 bits or rounded to blocks.
  const Tensor& compute() const { return parameter->value.tensor(); }
};

}  // namespace lathe
