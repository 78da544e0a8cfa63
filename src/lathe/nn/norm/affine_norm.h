// What every norm with a trained gain, and perhaps a trained offset, shares.
#pragma once

#include <memory>
#include <string_view>

#include "lathe/nn/norm/norm.h"

namespace lathe {

// y = op(x, gain, offset, eps); ops::rms_norm, ops::layer_norm.
using NormOperation = Var (*)(const Var& x, const Var& w, const Var& b, double eps);

// `kind` must outlive the norm (a literal).
std::unique_ptr<Norm> make_affine_norm(std::string_view kind, NormOperation op,
                                       const NormOptions& options);

}  // namespace lathe
