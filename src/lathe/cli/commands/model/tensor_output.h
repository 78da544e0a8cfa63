// Files of tensors that the proof tools write: `lathe logits`, `lathe loss`.
#pragma once

#include <string>
#include <vector>

#include "lathe/io/safetensors.h"
#include "lathe/model/weight_map.h"
#include "lathe/nn/parameter_gradients.h"

namespace lathe {

class TensorOutput {
 public:
  // In f32.
  void add(const std::string& name, const Tensor& t);
  // Under `prefix` and their names on disk.
  void add_gradients(const std::string& prefix, const std::vector<DiskTensor>& tensors,
                     ParameterGradients& gradients);
  void write(const std::string& path) const { write_safetensors(path, arrays_); }

 private:
  std::vector<Tensor> tensors_;
  std::vector<ArraySpan> arrays_;
};

// Buffers for all of them that can be trained, at 0, so that what nothing depends on is written, too.
void add_all(const std::vector<Parameter*>& parameters, ParameterGradients& gradients);

}  // namespace lathe
