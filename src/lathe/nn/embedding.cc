#include "lathe/nn/embedding.h"

#include "lathe/ops/embedding.h"

namespace lathe {

Embedding::Embedding(int64_t rows, int64_t width, double init_std)
    : weight({rows, width}, {Initializer::Kind::kNormal, init_std}) {
  weight.is_table = true;
}

Var Embedding::forward(const Forward& f, const Tensor& ids, std::optional<DType> out_dtype) const {
  const Var table = weight.value.packed() != nullptr
                        ? Var(weight.value.packed()->dense(out_dtype.value_or(DType::kF32)))
                        : f.use(weight);
  return ops::embedding(table, ids, out_dtype);
}

}  // namespace lathe
