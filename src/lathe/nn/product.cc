#include "lathe/nn/product.h"

#include "lathe/nn/adapters.h"
#include "lathe/ops/linear.h"

namespace lathe {

Var product(const Pass& pass, const Parameter& weight, const Var& x,
            const std::optional<Parameter>& bias) {
  const Var b = bias ? pass.use(*bias) : Var();
  const Var y = weight.value.packed() != nullptr ? ops::packed_linear(x, *weight.value.packed(), b)
                                                 : ops::linear(x, pass.use(weight), b);
  return pass.adapters != nullptr ? pass.adapters->add_to_product(pass, weight, x, y) : y;
}

Var whole_weight(const Pass& pass, const Parameter& weight, DType packed_as) {
  const Var w = weight.value.packed() != nullptr ? Var(weight.value.packed()->dense(packed_as))
                                                 : pass.use(weight);
  return pass.adapters != nullptr ? pass.adapters->add_to_weight(pass, weight, w) : w;
}

}  // namespace lathe
