// The log probability of every token, for losses that weight each token (policy gradients,
// preferences, distillation) and for evaluation. Like linear_cross_entropy, it never holds the
// logits of a whole batch.
#pragma once

#include "lathe/ops/output_head.h"

namespace lathe::ops {

// The most likely tokens of every row, without a gradient; for ignored rows the ids are −1 and the
// log probabilities 0.
struct TopTokens {
  int64_t k = 1;          // how many, at most V
  Tensor ids = {};        // result, i32 [N, k]: most likely first, the lower id first on ties
  Tensor log_probs = {};  // result, [N, k] in the accumulation dtype
};

struct TokenLogProbsOptions {
  // The temperature t of p = softmax(logits / t), the distribution that all results refer to, from
  // which a sampler of this temperature draws.
  double temperature = 1.0;
  // If not null, receives the entropy −Σ p log p of every row: [N], with a gradient; 0 for ignored
  // labels.
  Var* entropy = nullptr;
  // If not null, receives log Σ p² of every row, the probability that two draws are the same token:
  // [N], without a gradient; 0 for ignored labels.
  Tensor* collision = nullptr;
  TopTokens* top = nullptr;  // if not null, its k is read and the rest is filled
};

// hidden [.., C], labels i32 [..] (negative: ignored) -> log p[label] of every row, [N] in the
// accumulation dtype; 0, and no gradient, for ignored labels, of which there may be any number; N
// may be 0. With g and h the gradients of the log probability and of the entropy H of a row,
//   dlogits[v] = (g · ([v = label] − p[v]) − h · p[v] · (log p[v] + H)) / t
// Works through chunks of rows. The tape keeps only the label and H of a row: the backward pass
// recomputes the logits. Errors: kShape; kData if a label is not below V.
Var token_log_probs(const Var& hidden, const OutputHead& head, const Tensor& labels,
                    const TokenLogProbsOptions& options = {});

}  // namespace lathe::ops
