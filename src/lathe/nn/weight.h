// The value of a parameter: its elements, or a form that stores them otherwise.
#pragma once

#include <memory>

#include "lathe/ops/packed_matrix.h"
#include "lathe/tensor/tensor.h"

namespace lathe {

// A handle to shared memory: copies are the same weight, and several models may have it. Products
// read it only through nn/product.h. Threads may read one weight at the same time.
class Weight {
 public:
  Weight() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): elements are a weight
  Weight(Tensor tensor) : tensor_(std::move(tensor)) {}
  explicit Weight(std::shared_ptr<const ops::PackedMatrix> packed) : packed_(std::move(packed)) {}

  // nullptr where the elements are in tensor().
  const ops::PackedMatrix* packed() const { return packed_.get(); }
  // Undefined before the model has memory. Error kShape for a packed weight, which has no tensor.
  const Tensor& tensor() const;
  size_t bytes() const { return packed_ != nullptr ? packed_->bytes() : tensor_.bytes(); }

 private:
  Tensor tensor_;
  std::shared_ptr<const ops::PackedMatrix> packed_;
};

}  // namespace lathe
