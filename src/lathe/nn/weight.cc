#include "lathe/nn/weight.h"

#include "lathe/base/error.h"

namespace lathe {

const Tensor& Weight::tensor() const {
  require(
      packed_ == nullptr, ErrorKind::kShape, "weight",
      "a packed matrix has no tensor of elements; make it dense, or use the weights as they were "
      "before they were packed");
  return tensor_;
}

}  // namespace lathe
