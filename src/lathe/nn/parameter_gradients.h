// The gradients of a model's parameters, apart from the model: several threads may each
// differentiate the same one.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "lathe/autograd/tape.h"
#include "lathe/nn/parameter.h"

namespace lathe {

// A buffer for each parameter that was added. A pass that is given them adds to the buffers, and
// reads all other parameters as constants. Belongs to the thread of the pass.
class ParameterGradients {
 public:
  // Room for the gradient of `parameter`, which has its value and outlives this: f32, or f64 where
  // the value is. References stay valid. Nothing counts as written.
  GradBuffer& add(const Parameter& parameter);
  // nullptr for a parameter that was not added.
  GradBuffer* find(const Parameter& parameter);
  // No gradient counts as written.
  void clear();
  int64_t bytes() const;

 private:
  std::unordered_map<const Parameter*, GradBuffer> buffers_;
};

}  // namespace lathe
