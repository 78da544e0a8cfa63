#include <optional>

#include "lathe/nn/norm/norm.h"
#include "lathe/ops/norm.h"

namespace lathe {
namespace {

class LayerNorm : public Norm {
 public:
  explicit LayerNorm(const NormOptions& o) : eps_(o.eps), weight_({o.width}, {Initializer::Kind::kOnes, 0}) {
    if (o.bias) bias_.emplace(Shape{o.width}, Initializer{Initializer::Kind::kZeros, 0});
  }
  Var forward(const Forward& f, const Var& x) override {
    return ops::layer_norm(x, f.use(weight_), bias_ ? f.use(*bias_) : Var(), eps_);
  }
  std::string_view kind() const override { return "LayerNorm"; }
  void visit(ModuleVisitor& v) override {
    v.parameter("weight", weight_);
    if (bias_) v.parameter("bias", *bias_);
  }

 private:
  double eps_;
  Parameter weight_;
  std::optional<Parameter> bias_;
};

}  // namespace

std::unique_ptr<Norm> make_layer_norm(const NormOptions& options) { return std::make_unique<LayerNorm>(options); }

}  // namespace lathe
