// The output head and the cross entropy as one operation, so that the logits of a whole batch never
// exist.
#pragma once

#include "lathe/ops/output_head.h"

namespace lathe::ops {

struct CrossEntropyOptions {
  // The summed loss is divided by this; 0 means the number of labels that count.
  double normalizer = 0.0;
  // c of a further loss c · lse² of each label that counts, lse the log-sum-exp of its logits, which
  // keeps them from drifting away (z-loss, Chowdhery et al. 2022, arXiv:2204.02311); it is divided
  // by the normalizer, too.
  double z_loss = 0.0;
  double* z_term = nullptr;  // where that part of the result is put, when it is asked for
  // Where −log p of each label is put when it is asked for: [N] in the accumulation dtype, 0 for
  // ignored labels, neither divided by the normalizer nor with the z-loss.
  Tensor* losses = nullptr;
};

// hidden [.., C], labels i32 [..] (negative: ignored) -> mean loss, a scalar in the accumulation
// dtype. Works through chunks of rows: logits, log-sum-exp, and when a tape records
// also the gradients, which are kept ([N, C], [V, C], [V]) instead of the logits ([N, V]). Errors:
// kShape; kData when a label is not below V or no label counts.
Var linear_cross_entropy(const Var& hidden, const OutputHead& head, const Tensor& labels,
                         const CrossEntropyOptions& options = {});

}  // namespace lathe::ops
