// What every norm with a trained gain, and perhaps a trained offset, shares.
#pragma once

#include <memory>
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
std::unique_ptr<Norm> make_affine_norm(const AffineNormKind& kind, const NormOptions& options);

}  // namespace lathe
