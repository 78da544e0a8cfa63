#include "lathe/ops/linear.h"

#include <vector>

#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

Shape with_last(const Shape& shape, int64_t last) { return shape.with(-1, last); }

}  // namespace

Var linear(const Var& x, const Var& w, const Var& b, std::optional<DType> out_dtype) {
  require(w.value.rank() == 2 && x.value.rank() >= 1 && x.shape()[-1] == w.shape()[1],
          ErrorKind::kShape, "linear", "x {} does not fit a weight {}", x.shape(), w.shape());
  const DType type = x.value.dtype();
  if (!(type == DType::kF32 && w.value.dtype() == DType::kBF16))
    require_dtype("linear", "weight", w.value, type);
  const int64_t outputs = w.shape()[0];
  if (b.defined()) require_shape("linear", "bias", b.value, {outputs});
  Tensor y(with_last(x.shape(), outputs), out_dtype.value_or(type), x.value.device());
  const auto& k = kernels_of(x.value);
  // Without a tape it is inference, where a row must not depend on the batch that it is in.
  const auto product = tape_of({&x, &w, &b}) != nullptr ? k.matmul : k.row_matmul;
  product(as_rows(x.value), w.value.transpose(0, 1), b.value.view(), as_rows(y),
          kernels::Write::kOverwrite);

  auto backward = [x = x.ref(), w = w.ref(), b = b.ref(), saved_x = save(x), weight = w.value, type,
                   &k](Gradients& g) {
    Tensor dy = g.of_output();
    if (dy.dtype() != type) dy = dy.to(type);
    const Tensor rows = as_rows(dy.contiguous() ? dy : dy.clone());
    if (x.needs_grad()) {
      const GradientTarget dx = g.target(x);
      k.matmul(rows, weight, TensorView(), as_rows(dx.target), dx.write);
    }
    if (w.needs_grad()) {
      const Tensor input = as_rows(g.value(saved_x));
      const GradientTarget dw = g.target(w);
      k.matmul(rows.transpose(0, 1), input, TensorView(), dw.target, dw.write);
    }
    if (b.needs_grad()) {
      const GradientTarget db = g.target(b);
      k.sum_rows(rows, db.target, db.write);
    }
  };
  return record("linear", y, {&x, &w, &b}, std::move(backward));
}

}  // namespace lathe::ops
