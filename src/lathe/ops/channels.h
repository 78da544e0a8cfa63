// Splits and joins the last dimension.
#pragma once

#include <span>
#include <vector>

#include "lathe/autograd/tape.h"

namespace lathe::ops {

// x [.., W] -> one view [.., w] for each width, which add up to W.
std::vector<Var> split_channels(const Var& x, std::span<const int64_t> widths);

// a [N,H,A], b [N,H,R] or [N,1,R], which all heads then share -> [N,H,A+R]. The gradient of
// a shared b is the sum over heads, in their order.
Var join_channels(const Var& a, const Var& b);

// x [N,H,A] and a matrix for each head, w [H,A,R] -> [N,H,R]. Records nothing: for inference.
Tensor multiply_heads(const Tensor& x, const Tensor& w);

}  // namespace lathe::ops
