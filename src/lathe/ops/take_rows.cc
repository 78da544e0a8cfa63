#include "lathe/ops/take_rows.h"

#include <vector>

#include "lathe/ops/common.h"

namespace lathe::ops {

Var take_rows(const Var& x, const Tensor& rows) {
  require(x.value.rank() == 2, ErrorKind::kShape, "take_rows", "x has shape {}", x.shape());
  require_dtype("take_rows", "rows", rows, DType::kI32);
  const int64_t count = rows.numel(), all = x.shape()[0];
  std::vector<bool> taken(static_cast<size_t>(all));
  for (const int32_t row : rows.span<int32_t>()) {
    require(row >= 0 && row < all && !taken[static_cast<size_t>(row)], ErrorKind::kShape,
            "take_rows", "row {} of {} is not there or was taken before", row, all);
    taken[static_cast<size_t>(row)] = true;
  }
  const Tensor out({count, x.shape()[1]}, x.value.dtype(), x.value.device());
  kernels_of(out).embedding(x.value, rows, out);
  return record("take_rows", out, {&x}, [x = x.ref(), rows, shape = x.shape()](Gradients& g) {
    const Tensor& from = g.of_output();
    const Tensor to = Tensor::zeros(shape, from.dtype(), from.device());
    for (int64_t i = 0; i < rows.numel(); ++i)
      to.narrow(0, rows.data<int32_t>()[i], 1).copy_from(from.narrow(0, i, 1));
    g.add(x, to);
  });
}

}  // namespace lathe::ops
