// Additions, scalings, activations and dropout.
#pragma once

#include "lathe/autograd/tape.h"
#include "lathe/base/rng.h"

namespace lathe::ops {

// a + b, of equal dtypes. b has the shape of a, or is [C] for an a [.., C]: added to each row.
Var add(const Var& a, const Var& b);

// a ⊙ b. b has the shape of a, or is [C] for an a [.., C]: a factor for each column. The result has
// the dtype of a; gains may have the accumulation dtype. Saves both.
Var multiply(const Var& a, const Var& b);

// √(Σ x²) over all elements, a scalar in the accumulation dtype; its gradient at zero is zero.
Var frobenius_norm(const Var& x);

// alpha·x. alpha == 1 returns x.
Var scale(const Var& x, double alpha);

// x + alpha in every element.
Var shift(const Var& x, double alpha);

// A contiguous copy, for operations that need contiguous rows; x itself if it is contiguous.
Var contiguous(const Var& x);

// cap·tanh(x / cap) (Bello et al. 2016, arXiv:1611.09940). cap == 0 returns x.
Var soft_cap(const Var& x, double cap);

// f(x), any shape. Cheap to recompute.
Var activation(kernels::ActivationId f, const Var& x);

// x [.., 2F] holds gate then up: f(gate) · up, [.., F] (Shazeer 2020, arXiv:2002.05202). Cheap to
// recompute.
Var gated(kernels::ActivationId f, const Var& x);

// Zeroes each element with probability p and divides the rest by 1 - p; `rng` names the stream, so
// equal streams drop equal elements. p == 0 returns x.
Var dropout(const Var& x, double p, const Rng& rng);

}  // namespace lathe::ops
