// A weight that is not stored element by element: blocks of quantised numbers, a matrix in a
// library's own layout. It is not a dtype, since a Tensor's strides and sizes count elements; it
// only provides what a layer needs of a matrix.
#pragma once

#include <memory>

#include "lathe/autograd/tape.h"

namespace lathe::ops {

// Immutable and thread-safe.
class PackedMatrix {
 public:
  virtual ~PackedMatrix() = default;
  virtual Shape shape() const = 0;  // [O, I]
  virtual size_t bytes() const = 0;
  // x [N,I] -> x·Wᵀ + bias [N,O] of `out`; bias [O] may be absent.
  virtual Tensor product(const Tensor& x, const TensorView& bias, DType out) const = 0;
  // dy [N,O] -> dy·W [N,I] of dy's dtype: the gradient of x.
  virtual Tensor product_backward(const Tensor& dy) const = 0;
  // The whole matrix as elements of `dtype`.
  virtual Tensor dense(DType dtype) const = 0;
  // Some of its rows: ids i32 [N], each a row -> [N,I] of `dtype`. Throws kData for an id that is
  // none.
  virtual Tensor lookup(const Tensor& ids, DType dtype) const = 0;
  // Rows [first, first + count) as a matrix of its own that shares this one's memory: one expert of a
  // stack of them. Throws kShape for rows that the layout cannot part from others.
  virtual std::shared_ptr<const PackedMatrix> rows(int64_t first, int64_t count) const = 0;
};

// x [.., I] -> x·Wᵀ + b [.., O] of x's dtype. W, which must outlive the tape, has no gradient.
// Throws kShape.
Var packed_linear(const Var& x, const PackedMatrix& w, const Var& b);

}  // namespace lathe::ops
