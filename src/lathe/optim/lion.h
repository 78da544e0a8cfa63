// Lion: the sign of an interpolated momentum (Chen et al. 2023, arXiv:2302.06675).
//
//   c ← β1·m + (1−β1)·g
//   w ← w − lr·λ·w − lr·sign(c)        sign(0) = 0
//   m ← β2·m + (1−β2)·g
//
// λ as in adamw.h. Every element moves by exactly lr, so lr wants to be 3 to 10 times smaller than
// AdamW's and weight_decay as many times larger; the paper trains language models with β1 = 0.95,
// β2 = 0.98. State: "lion.m/…": half of AdamW's.
#pragma once

#include <memory>

#include "lathe/optim/optimizer.h"

namespace lathe {

struct OptimConfig;

// Uses beta1, beta2, weight_decay.
std::unique_ptr<Optimizer> make_lion(const OptimConfig& config);

}  // namespace lathe
