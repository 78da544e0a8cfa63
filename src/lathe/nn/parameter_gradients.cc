#include "lathe/nn/parameter_gradients.h"

namespace lathe {

GradBuffer& ParameterGradients::add(const Parameter& p) {
  const Tensor& value = p.value.tensor();
  const DType dtype = value.dtype() == DType::kF64 ? DType::kF64 : DType::kF32;
  return buffers_[&p] = {Tensor(p.shape, dtype, value.device()), false};
}

GradBuffer* ParameterGradients::find(const Parameter& p) {
  const auto found = buffers_.find(&p);
  return found == buffers_.end() ? nullptr : &found->second;
}

void ParameterGradients::clear() {
  for (auto& [parameter, buffer] : buffers_) buffer.written = false;
}

int64_t ParameterGradients::bytes() const {
  int64_t total = 0;
  for (const auto& [parameter, buffer] : buffers_)
    total += static_cast<int64_t>(buffer.tensor.bytes());
  return total;
}

}  // namespace lathe
