#include "lathe/nn/embedding.h"

#include "lathe/nn/adapters.h"
#include "lathe/ops/embedding.h"

namespace lathe {

Embedding::Embedding(int64_t rows, int64_t width, double init_std)
    : weight({rows, width}, {Initializer::Kind::kNormal, init_std}) {
  weight.is_table = true;
}

Var Embedding::forward(const Forward& f, const Tensor& ids, std::optional<DType> out_dtype) const {
  const auto* packed = weight.value.packed();
  const auto other = f.pass->adapters != nullptr
                         ? f.pass->adapters->replacement(*f.pass, weight, ParameterUse::kLookup)
                         : std::nullopt;
  const Var x = other               ? ops::embedding(*other, ids, out_dtype)
                : packed != nullptr ? Var(packed->lookup(ids, out_dtype.value_or(DType::kF32)))
                                    : ops::embedding(f.pass->own(weight), ids, out_dtype);
  return f.pass->adapters != nullptr ? f.pass->adapters->add_to_lookup(*f.pass, weight, ids, x) : x;
}

}  // namespace lathe
