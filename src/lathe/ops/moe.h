// The operations of a mixture of experts, without dropped or padded copies of tokens: permute
// tokens so that those of each expert are contiguous, multiply each range with its own matrix, and
// add the results back to their tokens (Gale et al. 2022, arXiv:2211.15841, with contiguous ranges
// instead of block-sparse matrices). Sums have an order that the plan fixes.
#pragma once

#include "lathe/autograd/tape.h"
#include "lathe/ops/moe_plan.h"
#include "lathe/ops/packed_matrix.h"

namespace lathe::ops {

// x [.., C] with N rows -> [R, C], each token once for each of its experts, and rows of zeros
// according to the plan. Cheap to recompute.
Var permute(const Var& x, const ExpertPlan& plan);

// x [R, I], w [E·O, I] (one matrix [O, I] below the other), b [E·O] or undefined -> [R, O]:
// rows of expert e times its matrix transposed, plus its bias. An expert without rows costs nothing
// and its gradient is zero. Saves x and w.
//
// The products run one after the other, each on all threads, because oneDNN's products split their
// work when they are prepared and must not run inside a parallel region.
Var grouped_linear(const Var& x, const Var& w, const Var& b, const ExpertPlan& plan);

// The same with a packed w, whose experts are parts of it (PackedMatrix::rows). w, which must outlive
// the tape, has no gradient.
Var grouped_packed_linear(const Var& x, const PackedMatrix& w, const Var& b,
                          const ExpertPlan& plan);

// h [R, C], gates (accumulation dtype) with one element per slot -> shape [.., C] with N rows: y[n]
// = sum over the rows r of token n of gates[slot of r] · h[r], by expert; zero for a token all of
// whose slots were dropped. Saves h and gates.
Var combine(const Var& h, const Var& gates, const ExpertPlan& plan, const Shape& shape);

// h [.., C], gates [N] or [N, 1] in the accumulation dtype -> gates[n] · h[n].
Var scale_rows(const Var& h, const Var& gates);

}  // namespace lathe::ops
