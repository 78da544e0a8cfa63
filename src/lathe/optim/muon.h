// Muon: momentum, orthogonalised (Jordan et al. 2024, "Muon: an optimizer for hidden layers in
// neural networks"; weight decay and update scale: Liu et al. 2025, arXiv:2502.16982).
//
//   m ← μ·m + (1−μ)·g
//   u = μ·m + (1−μ)·g  (Nesterov)  or  m
//   w ← w − lr·λ·w − lr·s·newton_schulz(u)
//
// Every matrix inside a parameter (its parts, its experts) is orthogonalised alone, with R rows and
// C columns, and s is chosen by adjust_lr:
//   match_rms_adamw   s = 0.2·√max(R, C)    elements move as far as AdamW's, whose lr serves
//   original          s = √max(1, R/C)      lr is in units of the spectral norm, around 0.02
//
// Parameters that are no matrix (gains, biases) or are tables (embedding, output head) go to an
// AdamW of its own with lr · adamw_lr_ratio. State: "muon.momentum/…" and AdamW's.
// The iteration runs in f32, where the reference uses bf16. It costs 10·min(R, C)·(2·R·C + min(R,
// C)²) operations per matrix and step, whatever the batch: for 22M parameters in matrices of width
// 512, 280 GFLOP, half of what forward and backward of 4096 tokens take, so it wants large batches.
#pragma once

#include <string>

#include "lathe/config/visit.h"

namespace lathe {

// The group muon; weight_decay counts as well, and beta1, beta2 and eps for what AdamW does.
struct MuonConfig {
  double momentum = 0.95;
  bool nesterov = true;
  int64_t ns_steps = 5;
  std::string adjust_lr = "match_rms_adamw";
  double adamw_lr_ratio = 1.0;

  void visit(Visitor& v);
};

}  // namespace lathe
