// Normalisation of the last dimension. Both save x and one or two numbers per row, and are cheap to
// recompute.
#pragma once

#include "lathe/autograd/tape.h"

namespace lathe::ops {

// x [.., C], w [C] or undefined, b [C] or undefined.
// y = x / sqrt(mean(x²) + eps) · w + b (Zhang & Sennrich 2019, arXiv:1910.07467).
Var rms_norm(const Var& x, const Var& w, const Var& b, double eps);
// y = (x - mean) / sqrt(var + eps) · w + b (Ba et al. 2016, arXiv:1607.06450).
Var layer_norm(const Var& x, const Var& w, const Var& b, double eps);
// y = x / sqrt((sum(x²) + sum(x)²) / (C + 1) + eps) · w + b: layer norm of the C + 1 channels
// [x, -sum(x)], whose mean is 0, without the last one (Jiang et al. 2023, arXiv:2305.14858; d - 1
// there is C here).
Var crms_norm(const Var& x, const Var& w, const Var& b, double eps);

}  // namespace lathe::ops
