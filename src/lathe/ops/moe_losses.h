// Losses of routers, and how a layer adds them to the gradient.
#pragma once

#include "lathe/autograd/tape.h"
#include "lathe/ops/rows.h"

namespace lathe::ops {

// E · sum over e of f_e · P_e (Fedus et al. 2021, arXiv:2101.03961, eq. 4), where of the rows of a
// group f_e is the number of choices of expert e over the rows and P_e its mean probability; the
// mean over `groups` of consecutive rows, none of them empty. probabilities [N, E], choices i32 [N,
// k] (before any is dropped) -> a scalar. 1·k when balanced: f sums to k, as in transformers'
// load_balancing_loss_func (which pools all layers into one f and P). f has no gradient.
Var balance_loss(const Var& probabilities, const Tensor& choices, const Sequences& groups);

// mean over n of logsumexp(logits[n,:])² (Zoph et al. 2022, arXiv:2202.08906, eq. 5). logits [N,
// E].
Var router_z_loss(const Var& logits);

// Returns x; its backward passes the gradient of x on and gives `loss` (a scalar on the same tape)
// the gradient `coefficient`. So `loss` contributes although nothing downstream reads it, also
// inside checkpoint(), which returns one Var. The final backward must be seeded with 1, and
// something that it reaches must read the result. coefficient == 0 returns x itself.
Var attach_loss(const Var& x, const Var& loss, double coefficient);

}  // namespace lathe::ops
