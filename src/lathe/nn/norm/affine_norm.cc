#include "lathe/nn/norm/affine_norm.h"

#include <optional>

namespace lathe {
namespace {

class AffineNorm : public Norm {
 public:
  AffineNorm(const AffineNormKind& kind, const NormOptions& o)
      : kind_(kind.kind), op_(kind.op), eps_(o.eps), weight_({o.width}, {kind.gain, 0}) {
    if (o.bias) bias_.emplace(Shape{o.width}, Initializer{Initializer::Kind::kZeros, 0});
  }
  Var forward(const Forward& f, const Var& x) override {
    return op_(x, f.use(weight_), bias_ ? f.use(*bias_) : Var(), eps_);
  }
  std::string_view kind() const override { return kind_; }
  void visit(ModuleVisitor& v) override {
    v.parameter("weight", weight_);
    if (bias_) v.parameter("bias", *bias_);
  }

 private:
  std::string_view kind_;
  NormOperation op_;
  double eps_;
  Parameter weight_;
  std::optional<Parameter> bias_;
};

}  // namespace

std::unique_ptr<Norm> make_affine_norm(const AffineNormKind& kind, const NormOptions& options) {
  return std::make_unique<AffineNorm>(kind, options);
}

}  // namespace lathe
