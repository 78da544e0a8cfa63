#include "lathe/nn/norm/affine_norm.h"

namespace lathe {

AffineNorm::AffineNorm(const AffineNormKind& kind, const NormShape& s)
    : kind_(kind.kind), op_(kind.op), eps_(s.eps), weight_({s.width}, {kind.gain, 0}) {
  if (s.bias) bias_.emplace(Shape{s.width}, Initializer{Initializer::Kind::kZeros, 0});
}

Var AffineNorm::forward(const Forward& f, const Var& x) const {
  return op_(x, f.use(weight_), bias_ ? f.use(*bias_) : Var(), eps_);
}

void AffineNorm::visit(ModuleVisitor& v) {
  v.parameter("weight", weight_);
  if (bias_) v.parameter("bias", *bias_);
}

}  // namespace lathe
