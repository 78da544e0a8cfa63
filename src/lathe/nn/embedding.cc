#include "lathe/nn/embedding.h"

#include "lathe/ops/embedding.h"

namespace lathe {

Embedding::Embedding(int64_t rows, int64_t width, double init_std)
    : weight({rows, width}, {Initializer::Kind::kNormal, init_std}) {
  weight.is_table = true;
}

Var Embedding::forward(const Forward& f, const Tensor& ids, std::optional<DType> out_dtype) const {
  if (const auto* packed = weight.value.packed())
    return Var(packed->lookup(ids, out_dtype.value_or(DType::kF32)));
  return ops::embedding(f.use(weight), ids, out_dtype);
}

}  // namespace lathe
