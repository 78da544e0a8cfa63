// Depth-wise convolution of tokens, causal or on a grid.
#pragma once

#include "lathe/autograd/tape.h"
#include "lathe/ops/attention.h"

namespace lathe::ops {

struct DepthwiseConv {
  int64_t outputs = 0;  // T: the last so many of the S tokens of x
  // On a grid of this size, T = S = height · width, a square kernel; else causal.
  int64_t grid_height = 0, grid_width = 0;
  AttentionSegments segments = {};  // query of the outputs [B,T], key of the inputs [B,S]
};

// y[b,t,c] = bias[c] + sum over taps u of weight[u,c] · x[b, token(t,u), c], where token(t,u) is
// what kernels/conv/spec.h says, and no token counts 0. x [B,S,F], weight [taps,F], bias [F] or
// undefined -> [B,T,F]. Saves x. Error kShape when anything does not fit.
Var depthwise_conv(const Var& x, const Var& weight, const Var& bias, const DepthwiseConv& conv);

}  // namespace lathe::ops
