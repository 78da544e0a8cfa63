// The FLOPs of attention per visible (query, key) pair of one head.
#pragma once

#include <cstdint>

namespace lathe::kernels {

struct AttentionFlops {
  double forward, backward;
};

// With keys of width D and values of width Dv:
//   forward    q·k and weight·v: 2·(D + Dv), 4·D when equal
//   backward   q·k again and dout·v for the weights' gradient, then dq, dk and dv: 6·D + 4·Dv, 10·D
//              when equal. The recomputation belongs to the algorithm (arXiv:2205.14135).
constexpr AttentionFlops attention_flops(int64_t key_width, int64_t value_width) {
  const auto d = static_cast<double>(key_width), dv = static_cast<double>(value_width);
  return {.forward = 2 * (d + dv), .backward = 6 * d + 4 * dv};
}

}  // namespace lathe::kernels
