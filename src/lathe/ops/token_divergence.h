// How far a model's distributions of the next token are from a teacher's, token by token, for
// distillation (Hinton et al. 2015, arXiv:1503.02531; Agarwal et al. 2024, arXiv:2306.13649). Like
// token_log_probs, it never holds the logits of a whole batch.
#pragma once

#include "lathe/ops/output_head.h"

namespace lathe::ops {

// With p the model's distribution and q the teacher's, both of softmax(logits / temperature):
//   kForward  KL(q | p) = Σ q·(log q − log p)
//   kReverse  KL(p | q) = Σ p·(log p − log q)
//   kJensenShannon  β·KL(q | m) + (1 − β)·KL(p | m), where m = β·q + (1 − β)·p
struct Divergence {
  enum class Kind : uint8_t { kForward, kReverse, kJensenShannon };
  Kind kind = Kind::kForward;
  double beta = 0.5;  // the teacher's weight, between 0 and 1
  double temperature = 1.0;
};

// hidden [N, C], teacher_hidden [N, C'], two heads of one vocabulary -> the divergence of every row, [N]
// in the accumulation dtype; with a gradient for the model's hidden states and head only:
//   dlogits[v] = p[v]·(s[v] − Σ p·s) / temperature, where s = −q/p, log p − log q, (1 − β)(log p − log m)
// The backward pass recomputes the logits. Error kShape for what does not fit.
Var token_divergence(const Var& hidden, const OutputHead& head, const Tensor& teacher_hidden,
                     const OutputHead& teacher_head, const Divergence& divergence);

}  // namespace lathe::ops
