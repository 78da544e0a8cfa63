// Q8_0: 32 elements, x = d·q. d f16, q int8. d = max |x| / 127; q is rounded half away from zero.

#include <algorithm>
#include <array>
#include <cmath>

#include "lathe/tensor/blocks/codecs.h"
#include "lathe/tensor/blocks/scale_search.h"

namespace lathe::blocks {
namespace {

constexpr size_t kElements = 32;
constexpr float kHighest = 127;

struct Layout {
  F16 d;
  std::array<int8_t, kElements> q;
};
static_assert(sizeof(Layout) == 34);

Layout make(const float* x, const float* importance) {
  const std::span<const float> all(x, kElements);
  float scale = 0;
  if (importance != nullptr) {
    scale = std::abs(best_scale(all, Weights(importance), -kHighest, kHighest));
  } else {
    for (const float v : all) scale = std::max(scale, std::abs(v));
    scale /= kHighest;
  }
  Layout block{to_f16(scale), {}};
  // The reference divides by the scale before it is rounded to f16.
  const float inverse = scale == 0 ? 0.0f : 1.0f / scale;
  for (size_t i = 0; i < kElements; ++i)
    block.q[i] = static_cast<int8_t>(std::clamp(std::round(x[i] * inverse), -kHighest, kHighest));
  return block;
}

}  // namespace

void decode_q8_0(ConstBytes in, Elements out) {
  for_each_block<Layout, kElements>(in, out, [](const Layout& block, float* y) {
    const float d = to_float(block.d);
    for (size_t i = 0; i < kElements; ++i) y[i] = static_cast<float>(block.q[i]) * d;
  });
}

void encode_q8_0(ConstElements in, ConstElements importance, Bytes out) {
  make_each_block<Layout, kElements>(in, importance, out, make);
}

void grid_q8_0(ConstBytes block, Grids out) {
  constexpr int kMost = static_cast<int>(kHighest);
  std::ranges::fill(out, BlockGrid{to_float(read_block<Layout>(block).d), 0, -kMost, kMost});
}

void put_q8_0(ConstIntegers q, Bytes block) {
  change_block<Layout>(block, [&](Layout& b) {
    for (size_t i = 0; i < kElements; ++i) b.q[i] = static_cast<int8_t>(q[i]);
  });
}

}  // namespace lathe::blocks
