// The building blocks of routers: scores of experts, the choice of the best, and the gates that
// weight them. Everything here is computed in the accumulation dtype (f32; f64 on Device::kRef),
// whatever the dtype of the model: "selective precision", Fedus et al. 2021, arXiv:2101.03961.
#pragma once

#include "lathe/autograd/tape.h"
#include "lathe/base/rng.h"
#include "lathe/ops/rows.h"

namespace lathe::ops {

// x in another floating dtype; x itself if it already has it.
Var cast(const Var& x, DType dtype);

// x · u, u uniform in [1 - eps, 1 + eps) for each element; `rng` names the stream, so equal streams
// give equal factors. eps == 0 returns x.
Var jitter(const Var& x, double eps, const Rng& rng);

// x [.., C], w [E, C], b [E] or undefined, any floating dtypes -> x·wᵀ + b, [N, E] in the
// accumulation dtype.
Var router_logits(const Var& x, const Var& w, const Var& b);

// Over the last dimension of [N, E].
Var softmax(const Var& x);

// x / sum(x) over the last dimension of [N, E].
Var share_of_sum(const Var& x);

// Throws kShape unless experts can be divided into `count` groups of equal size.
struct ExpertGroups {
  int64_t count = 1, kept = 1;
  int64_t scored_by = 1;  // a group's score is the sum of so many of its best experts
};
// scores [N, E] with -inf outside the `kept` best groups of each row; scores itself when all are
// kept.
Tensor limit_to_groups(const Tensor& scores, const ExpertGroups& groups);

// The k largest of each row of [N, E], largest first, the lower index first among equals: i32 [N,
// k].
Tensor top_k(const Tensor& scores, int64_t k);

// i32 [N, k] -> the same with -1 where an expert already has as many tokens of this group of
// consecutive rows as the group's capacity allows. First choices of all its rows come before second
// ones.
Tensor drop_over_capacity(const Tensor& choices, int64_t experts, const Sequences& groups,
                          std::span<const int64_t> capacities);

struct GateOptions {
  bool normalize = false;  // divide by the sum over the k choices
  double eps = 0.0;        // added to that sum
  double scale = 1.0;
};
// scores [N, E], choices i32 [N, k], each in [0, E) or -1 -> scale · s or scale · s / (sum of s +
// eps), [N, k], s the scores of the choices, 0 for -1.
Var gates(const Var& scores, const Tensor& choices, const GateOptions& options);

}  // namespace lathe::ops
