// Which tensor on disk is which (rows of which) parameter, for one model.
#pragma once

#include <string>
#include <vector>

#include "lathe/model/transformer.h"

namespace lathe {

struct WeightBinding {
  std::string disk;  // name in the safetensors file
  Parameter* parameter = nullptr;
  int64_t first_row = 0, rows = 0;  // of the parameter
  bool transposed = false;

  // The part of a tensor shaped like the parameter (its value, its gradient) as it lies on disk: a
  // view.
  Tensor on_disk(const Tensor& whole) const;
};

// In the family's order, layer by layer; every row of every parameter is bound exactly once
// (checked).
std::vector<WeightBinding> bind_weights(Transformer& model);

}  // namespace lathe
