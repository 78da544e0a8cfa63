// The log probability of every token, for losses that weigh tokens one by one (policy gradients,
// preferences, distillation) and for evaluation. Like linear_cross_entropy, it never holds the logits
// of a whole batch.
#pragma once

#include "lathe/ops/output_head.h"

namespace lathe::ops {

// The likeliest tokens of every row, without a gradient; of ignored rows the ids are −1 and the log
// probabilities 0.
struct TopTokens {
  int64_t k = 1;          // how many, at most V
  Tensor ids = {};        // result, i32 [N, k]: likeliest first, the lower id first among equals
  Tensor log_probs = {};  // result, [N, k] in the accumulation dtype
};

struct TokenLogProbsOptions {
  // t of p = softmax(logits / t), the distribution that every result is about: that from which a
  // sampler of this temperature drew.
  double temperature = 1.0;
  // Where the entropy −Σ p log p of every row is put when it is asked for: [N], with a gradient; 0
  // for ignored labels.
  Var* entropy = nullptr;
  TopTokens* top = nullptr;  // read for its k and filled, when it is asked for
};

// hidden [.., C], labels i32 [..] (negative: ignored) -> log p[label] of every row, [N] in the
// accumulation dtype; 0, and no gradient, for ignored labels, of which there may be any number; N
// may be 0. With g and h the gradients of the log probability and of the entropy H of a row,
//   dlogits[v] = (g · ([v = label] − p[v]) − h · p[v] · (log p[v] + H)) / t
// Works through chunks of rows. The tape keeps nothing of a row but its label and H: the backward
// makes the logits again. Errors: kShape; kData when a label is not below V.
Var token_log_probs(const Var& hidden, const OutputHead& head, const Tensor& labels,
                    const TokenLogProbsOptions& options = {});

}  // namespace lathe::ops
