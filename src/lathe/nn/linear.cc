#include "lathe/nn/linear.h"

#include "lathe/nn/product.h"

namespace lathe {

Linear::Linear(int64_t inputs, int64_t outputs, bool with_bias, double init_std)
    : weight({outputs, inputs}, {Initializer::Kind::kNormal, init_std}) {
  weight.widened_in_use = true;
  if (with_bias) bias.emplace(Shape{outputs}, Initializer{Initializer::Kind::kZeros, 0});
}

Var Linear::forward(const Forward& f, const Var& x) const {
  return product(*f.pass, weight, x, bias);
}

void Linear::visit(ModuleVisitor& v) {
  v.parameter("weight", weight);
  if (bias) v.parameter("bias", *bias);
}

}  // namespace lathe
