// AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).
//
//   m ← β1·m + (1−β1)·g        v ← β2·v + (1−β2)·g²
//   w ← w − lr·λ·w − lr · (m / (1−β1^t)) / (√(v / (1−β2^t)) + ε)
//
// λ is weight_decay for parameters that decay (rank >= 2), 0 otherwise. One fused kernel per
// parameter, which also writes the compute copy. State: "adamw.m/…", "adamw.v/…", the shape of the
// parameter each. A parameter without a gradient in this step has g = 0: its moments decay, and it
// moves by what is left of m.
#pragma once

#include <memory>

#include "lathe/optim/optimizer.h"

namespace lathe {

struct OptimConfig;

// Uses beta1, beta2, eps, weight_decay.
std::unique_ptr<Optimizer> make_adamw(const OptimConfig& config);

}  // namespace lathe
