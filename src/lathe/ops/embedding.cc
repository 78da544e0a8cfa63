#include "lathe/ops/embedding.h"

#include <vector>

#include "lathe/ops/common.h"

namespace lathe::ops {

Var embedding(const Var& table, const Tensor& ids, std::optional<DType> out_dtype) {
  require(table.value.rank() == 2, ErrorKind::kShape, "embedding", "table has shape {}",
          table.shape());
  require_dtype("embedding", "ids", ids, DType::kI32);
  const int64_t rows = table.shape()[0], width = table.shape()[1];
  for (int32_t id : ids.span<int32_t>())
    require(
        id >= 0 && id < rows, ErrorKind::kData, "embedding",
        "id {} is outside the table of {} rows; the tokenizer and the model must belong together",
        id, rows);
  std::vector<int64_t> dims(ids.shape().dims().begin(), ids.shape().dims().end());
  dims.push_back(width);
  Tensor out(Shape(std::span<const int64_t>(dims)), out_dtype.value_or(table.value.dtype()),
             table.value.device());
  const Tensor flat = ids.reshape({ids.numel()});
  const auto& k = kernels_of(out);
  k.embedding(table.value, flat, as_rows(out));
  return record("embedding", out, {&table}, [table = table.ref(), flat, &k](Gradients& g) {
    const GradientTarget d = g.target(table);
    const DType wide = accumulation_type(d.target.dtype());
    if (d.target.dtype() == wide) {
      if (d.write == kernels::Write::kOverwrite) d.target.fill_zero();
      return k.embedding_backward(flat, as_rows(g.of_output()), d.target);
    }
    // A table that an operation made, in 16 bits: rows that occur often are summed in f32.
    const Tensor sum = Tensor::zeros(d.target.shape(), wide, d.target.device());
    k.embedding_backward(flat, as_rows(g.of_output()), sum);
    if (d.write == kernels::Write::kOverwrite)
      k.cast(sum, d.target);
    else
      k.axpy(1.0, sum, d.target);
  });
}

}  // namespace lathe::ops
