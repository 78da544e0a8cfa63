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
    require_dtype("embedding", "the gradient of the table", d.target,
                  accumulation_type(d.target.dtype()));
    if (d.write == kernels::Write::kOverwrite) d.target.fill_zero();
    k.embedding_backward(flat, as_rows(g.of_output()), d.target);
  });
}

}  // namespace lathe::ops
