// Clipping by the global norm (Pascanu et al. 2013, arXiv:1211.5063).
#pragma once

#include <span>

#include "lathe/optim/trained_parameter.h"

namespace lathe {

// grad_scale · √(sum of squares of every gradient), gradients not written counting as zero. With
// grad_scale = 1 / micro-batches this is the norm of the mean gradient. Not finite when any
// gradient is not, or when the sum of squares overflows: the caller decides whether to skip the
// step. Parameters are added in their order, in double.
double global_grad_norm(std::span<const TrainedParameter> parameters, double grad_scale = 1.0);

// What to multiply gradients by so that their norm is at most max_norm: min(1, max_norm / (norm +
// 1e-6)), as in PyTorch; 1 when max_norm is 0 (no clipping). Error kNumeric for a norm that is not
// finite.
double clip_factor(double norm, double max_norm);

}  // namespace lathe
