#include "lathe/cli/commands/model/tensor_output.h"

namespace lathe {

void TensorOutput::add(const std::string& name, const Tensor& t) {
  const Tensor f32 = t.to(DType::kF32);
  tensors_.push_back(f32);
  const auto dims = f32.shape().dims();
  arrays_.push_back({name, "F32", {dims.begin(), dims.end()}, {f32.raw(), f32.bytes()}});
}

void TensorOutput::add_gradients(const std::string& prefix, const std::vector<DiskTensor>& tensors,
                                 ParameterGradients& gradients) {
  for (const DiskTensor& t : tensors)
    add(prefix + t.name,
        t.gather([&](Parameter& p) -> const Tensor& { return gradients.find(p)->tensor; }));
}

void add_all(const std::vector<Parameter*>& parameters, ParameterGradients& gradients) {
  for (const Parameter* p : parameters) {
    GradBuffer& gradient = gradients.add(*p);
    gradient.tensor.fill_zero();
    gradient.written = true;
  }
}

}  // namespace lathe
