// The nearest semi-orthogonal matrix, roughly, by an odd polynomial iteration (Jordan et al. 2024,
// "Muon: an optimizer for hidden layers in neural networks"; Bernstein & Newhouse 2024,
// arXiv:2409.20325).
#pragma once

#include <cstdint>

#include "lathe/tensor/tensor.h"

namespace lathe::optim {

// For x = U·S·Vᵀ [R, C], contiguous f32 (kRef: f64), about U·Vᵀ: after 5 steps every singular value
// that was above 1/100 of x's Frobenius norm lies in 0.68 … 1.13. The result is new, contiguous,
// and does not depend on the scale of x; a zero matrix gives zeros. Where the reference divides by
// norm + 1e-7, this divides by the norm, so that tiny gradients keep their direction.
Tensor newton_schulz(const Tensor& x, int64_t steps);

}  // namespace lathe::optim
