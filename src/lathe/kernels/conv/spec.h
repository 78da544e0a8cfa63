// Which tokens a depth-wise convolution reads. Every channel is convolved on its own, over tokens
// in a row or on a grid; Kernels::depthwise_conv (kernels.h) has the formula.
//
// A call has B sequences, packed one after the other; of each
//   causal   the outputs are the last T of S inputs in a row, and tap u of `taps` of the output at
//            position p = S - T + t reads p - (taps - 1) + u: itself and what came before it
//   grid     T = S = grid_height · grid_width tokens, row by row; taps = kernel_size², and tap
//            (i, j) of the output at (y, x) reads (y + i - r, x + j - r), r = (kernel_size - 1) / 2
//
// A tap reads 0 outside of the sequence (zero padding), and where the segments differ.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lathe/base/parallel.h"
#include "lathe/tensor/tensor.h"

namespace lathe::kernels {

struct ConvSpec {
  int64_t taps = 1;
  int64_t grid_height = 0, grid_width = 0, kernel_size = 1;  // grid_height 0: causal
  TensorView outputs = {}, inputs = {};  // i32 [B+1]: sequence b has the rows [of[b], of[b+1])
  TensorView output_segments = {};       // i32 [N] and [M], both or none: packed documents, padding
  TensorView input_segments = {};
};

// The taps of one sequence, in rows of the operands.
class ConvTaps {
 public:
  ConvTaps(const ConvSpec& spec, int64_t b)
      : spec_(spec), outputs_(range(spec.outputs, b)), inputs_(range(spec.inputs, b)) {}

  Range outputs() const { return outputs_; }
  Range inputs() const { return inputs_; }

  // The input that tap u of the output in row n reads; -1 for none.
  int64_t input(int64_t n, int64_t u) const {
    const int64_t t = n - outputs_.begin;
    const int64_t s =
        causal() ? first_position() + t - (spec_.taps - 1) + u : moved(t, offset(u), 1);
    return s >= 0 && same_segment(n, inputs_.begin + s) ? inputs_.begin + s : -1;
  }
  // The inverse: the output whose tap u reads the input in row m; -1 for none.
  int64_t output(int64_t m, int64_t u) const {
    const int64_t s = m - inputs_.begin;
    const int64_t t =
        causal() ? s + (spec_.taps - 1) - u - first_position() : moved(s, offset(u), -1);
    const bool is_one = t >= 0 && t < outputs_.size();
    return is_one && same_segment(outputs_.begin + t, m) ? outputs_.begin + t : -1;
  }

 private:
  struct Offset {
    int64_t down, right;
  };

  bool causal() const { return spec_.grid_height == 0; }
  int64_t first_position() const { return inputs_.size() - outputs_.size(); }
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
  bool same_segment(int64_t n, int64_t m) const {
    return !spec_.output_segments ||
           spec_.output_segments.as<int32_t>()[n] == spec_.input_segments.as<int32_t>()[m];
  }
  static Range range(const TensorView& of, int64_t b) {
    return {of.as<int32_t>()[b], of.as<int32_t>()[b + 1]};
  }

  const ConvSpec& spec_;
  Range outputs_, inputs_;
};

// The sequence of each row, for loops over rows of all of them: f(taps, row).
template <class F>
void for_each_conv_row(const ConvSpec& spec, const TensorView& offsets, Range rows, F&& f) {
  const int32_t* first = offsets.as<int32_t>();
  int64_t b = 0;
  for (int64_t row = rows.begin; row < rows.end;) {
    while (first[b + 1] <= row) ++b;
    const ConvTaps taps(spec, b);
    for (const int64_t end = std::min<int64_t>(rows.end, first[b + 1]); row < end; ++row)
      f(taps, row);
  }
}

}  // namespace lathe::kernels
