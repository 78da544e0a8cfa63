#include "lathe/ops/packed_matrix.h"

#include "lathe/ops/common.h"

namespace lathe::ops {

Var packed_linear(const Var& x, const PackedMatrix& w, const Var& b) {
  const Shape shape = w.shape();
  require(shape.rank() == 2 && x.value.rank() >= 1 && x.shape()[-1] == shape[1], ErrorKind::kShape,
          "linear", "x {} does not fit a weight {}", x.shape(), shape);
  if (b.defined()) require_shape("linear", "bias", b.value, {shape[0]});
  const Tensor y = w.product(as_rows(x.value), b.value.view(), x.value.dtype());
  const auto& k = kernels_of(x.value);
  auto backward = [x = x.ref(), b = b.ref(), shape = x.shape(), &w, &k](Gradients& g) {
    const Tensor& dy = g.of_output();
    const Tensor rows = as_rows(dy.contiguous() ? dy : dy.clone());
    if (x.needs_grad()) g.add(x, w.product_backward(rows).reshape(shape));
    if (b.needs_grad()) {
      const GradientTarget db = g.target(b);
      k.sum_rows(rows, db.target, db.write);
    }
  };
  return record("packed_linear", y.reshape(x.shape().with(-1, shape[0])), {&x, &b},
                std::move(backward));
}

}  // namespace lathe::ops
