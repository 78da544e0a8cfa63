// Which tokens a depth-wise convolution reads. Every channel is convolved by itself, over tokens in
// a row or on a grid; Kernels::depthwise_conv (kernels.h) has the formula.
//
//   causal   the outputs are the last T of S tokens in a row, and tap u of `taps` of the output at
//            position p = S - T + t reads p - (taps - 1) + u: itself and what came before it
//   grid     T = S = grid_height · grid_width tokens, row by row; taps = kernel_size², and tap
//            (i, j) of the output at (y, x) reads (y + i - r, x + j - r), r = (kernel_size - 1) / 2
//
// A tap reads 0 outside of the tokens (zero padding), and where the segments differ.
#pragma once

#include <cstdint>

#include "lathe/tensor/tensor.h"

namespace lathe::kernels {

struct ConvSpec {
  int64_t taps = 1;
  int64_t grid_height = 0, grid_width = 0, kernel_size = 1;  // grid_height 0: causal
  TensorView output_segments = {};  // i32 [B,T] and [B,S], both or none: packed documents, padding
  TensorView input_segments = {};
};

class ConvTaps {
 public:
  ConvTaps(const ConvSpec& spec, int64_t outputs, int64_t inputs)
      : spec_(spec), outputs_(outputs), inputs_(inputs) {}

  // The token that tap u of output t of batch row b reads; -1 for none.
  int64_t input(int64_t b, int64_t t, int64_t u) const {
    const int64_t s =
        causal() ? first_position() + t - (spec_.taps - 1) + u : moved(t, offset(u), 1);
    return s >= 0 && same_segment(b, t, s) ? s : -1;
  }
  // The other way round: the output whose tap u reads token s; -1 for none.
  int64_t output(int64_t b, int64_t s, int64_t u) const {
    const int64_t t =
        causal() ? s + (spec_.taps - 1) - u - first_position() : moved(s, offset(u), -1);
    return t >= 0 && t < outputs_ && same_segment(b, t, s) ? t : -1;
  }

 private:
  struct Offset {
    int64_t down, right;
  };

  bool causal() const { return spec_.grid_height == 0; }
  int64_t first_position() const { return inputs_ - outputs_; }
  Offset offset(int64_t u) const {
    const int64_t reach = (spec_.kernel_size - 1) / 2;
    return {u / spec_.kernel_size - reach, u % spec_.kernel_size - reach};
  }
  int64_t moved(int64_t token, Offset by, int64_t sign) const {
    const int64_t y = token / spec_.grid_width + sign * by.down;
    const int64_t x = token % spec_.grid_width + sign * by.right;
    const bool inside = y >= 0 && y < spec_.grid_height && x >= 0 && x < spec_.grid_width;
    return inside ? y * spec_.grid_width + x : -1;
  }
  bool same_segment(int64_t b, int64_t t, int64_t s) const {
    if (!spec_.output_segments) return true;
    return at(spec_.output_segments, b, t) == at(spec_.input_segments, b, s);
  }
  static int32_t at(const TensorView& ids, int64_t b, int64_t i) {
    return ids.as<int32_t>()[b * ids.stride[0] + i * ids.stride[1]];
  }

  const ConvSpec& spec_;
  int64_t outputs_, inputs_;
};

}  // namespace lathe::kernels
