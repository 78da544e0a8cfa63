// The common part of all norms with a learned gain and optionally a learned bias.
#pragma once

#include <optional>
#include <string_view>

#include "lathe/nn/norm/norm.h"

namespace lathe {

// y = op(x, gain, offset, eps); ops::rms_norm, ops::layer_norm, ops::crms_norm.
using NormOperation = Var (*)(const Var& x, const Var& w, const Var& b, double eps);

struct AffineNormKind {
  std::string_view kind;  // must outlive the norm (a literal)
  NormOperation op;
  Initializer::Kind gain = Initializer::Kind::kOnes;  // of fresh weights
};

class AffineNorm : public Norm {
 public:
  AffineNorm(const AffineNormKind& kind, const NormShape& shape);
  Var forward(const Forward& f, const Var& x) const override;
  std::string_view kind() const override { return kind_; }
  void visit(ModuleVisitor& v) override;

 private:
  std::string_view kind_;
  NormOperation op_;
  double eps_;
  Parameter weight_;
  std::optional<Parameter> bias_;
};

}  // namespace lathe
