// Depth-wise convolution of tokens, causal or on a grid.
#pragma once

#include "lathe/autograd/tape.h"
#include "lathe/ops/attention.h"

namespace lathe::ops {

struct DepthwiseConv {
  Sequences outputs;  // for each sequence, its last so many inputs
  Sequences inputs;   // of x
  // On a grid of this size, where every sequence has height · width inputs and outputs, a square
  // kernel; else causal.
  int64_t grid_height = 0, grid_width = 0;
  AttentionSegments segments = {};  // query of the outputs [N], key of the inputs [M]
};

// y[n,c] = bias[c] + sum over taps u of weight[u,c] · x[token(n,u), c], where kernels/conv/spec.h
// defines token(n,u), and a missing token counts as 0. x [M,F], weight [taps,F], bias [F] or
// undefined -> [N,F]. Saves x. Throws kShape if anything does not fit.
Var depthwise_conv(const Var& x, const Var& weight, const Var& bias, const DepthwiseConv& conv);

}  // namespace lathe::ops
