// Adafactor: AdamW's second moment as an outer product (Shazeer & Stern 2018, arXiv:1804.04235).
//
// For every matrix inside a parameter, with R rows and C columns, and β = 1 − t^(−decay_exponent):
//   r ← β·r + (1−β)·mean over columns of (g² + ε1)     [R]
//   c ← β·c + (1−β)·mean over rows of (g² + ε1)        [C]
//   u = g / √(r·cᵀ / mean(r))                          [R, C]
// Parameters that are no matrix keep the whole: v ← β·v + (1−β)·(g² + ε1), u = g / √v. Then
//   w ← w − lr·λ·w − α · u / max(1, RMS(u) / clip)
// with α = lr, or lr·max(ε2, RMS(w)) when relative_step is on (the paper's relative step size; its
// ρ is the schedule's business, name = "inverse_sqrt"). RMS runs over one matrix. No first moment,
// as in the paper's low-memory form. State: "adafactor.row/…" [sum of R], "adafactor.col/…"
// [matrices, C], or "adafactor.v/…".
#pragma once

#include "lathe/config/visit.h"

namespace lathe {

// The group adafactor; weight_decay counts as well.
struct AdafactorConfig {
  double decay_exponent = 0.8;
  double clip = 1.0;
  double eps1 = 1e-30;
  double eps2 = 1e-3;
  bool relative_step = false;

  void visit(Visitor& v);
};

}  // namespace lathe
