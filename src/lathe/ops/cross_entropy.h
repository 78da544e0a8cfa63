// The output head and the cross entropy as one operation, so that the logits of a whole batch never
// exist.
#pragma once

#include "lathe/ops/output_head.h"

namespace lathe::ops {

struct CrossEntropyOptions {
  // The summed loss is divided by this; 0 means the number of labels that are not ignored.
  double normalizer = 0.0;
  // The factor c of an additional loss c · lse² of each label, where lse is the log-sum-exp of its
  // logits, which keeps them from drifting (z-loss, Chowdhery et al. 2022, arXiv:2204.02311); it is
  // also divided by the normalizer.
  double z_loss = 0.0;
  double* z_term = nullptr;  // receives that part of the result if not null
  // If not null, receives −log p of each label: [N] in the accumulation dtype, 0 for ignored
  // labels, neither divided by the normalizer nor including the z-loss.
  Tensor* losses = nullptr;
};

// hidden [.., C], labels i32 [..] (negative: ignored) -> mean loss, a scalar in the accumulation
// dtype. Works through chunks of rows: logits, log-sum-exp, and when a tape records also the
// gradients, which are kept ([N, C], [V, C], [V]) instead of the logits ([N, V]). Errors: kShape;
// kData if a label is not below V or all labels are ignored.
Var linear_cross_entropy(const Var& hidden, const OutputHead& head, const Tensor& labels,
                         const CrossEntropyOptions& options = {});

}  // namespace lathe::ops
