// Depth-wise convolution of tokens, causal or on a grid.
#pragma once

#include "lathe/autograd/tape.h"
#include "lathe/ops/attention.h"

namespace lathe::ops {

struct DepthwiseConv {
  Sequences outputs;  // of each sequence the last so many of its inputs
  Sequences inputs;   // of x
  // On a grid of this size, where every sequence has height · width inputs and outputs, a square
  // kernel; else causal.
  int64_t grid_height = 0, grid_width = 0;
  AttentionSegments segments = {};  // query of the outputs [N], key of the inputs [M]
};

// y[n,c] = bias[c] + sum over taps u of weight[u,c] · x[token(n,u), c], where token(n,u) is what
// kernels/conv/spec.h says, and no token counts 0. x [M,F], weight [taps,F], bias [F] or undefined ->
// [N,F]. Saves x. Error kShape when anything does not fit.
Var depthwise_conv(const Var& x, const Var& weight, const Var& bias, const DepthwiseConv& conv);

}  // namespace lathe::ops
