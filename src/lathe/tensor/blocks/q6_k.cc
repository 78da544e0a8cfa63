// Q6_K: 256 elements in 16 groups of 16, x = (d·s)·(q - 32). s is an int8 for each group, q has 6
// bits.
//
// In order: 128 bytes of the low four bits; 64 bytes of the high two; 16 bytes s; d f16. Each half of
// the block, 128 elements, has 64 bytes of four bits and 32 of two: element 32·j + i of the half, j
// below 4, has its low bits in byte 32·(j % 2) + i, in the low half for j < 2, and its high ones in
// byte i at 2·j.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "lathe/tensor/blocks/codecs.h"
#include "lathe/tensor/blocks/scale_search.h"

namespace lathe::blocks {
namespace {

constexpr size_t kGroups = 16, kGroup = 16, kElements = kGroups * kGroup, kHalf = 128, kRow = 32;
constexpr float kLowest = -32, kHighest = 31;
constexpr int kZero = 32;  // what the integer 0 stands at

struct Layout {
  std::array<uint8_t, kElements / 2> low;
  std::array<uint8_t, kElements / 4> high;
  std::array<int8_t, kGroups> scales;
  F16 d;
};
static_assert(sizeof(Layout) == 210);

// Where the bits of an element are.
struct Place {
  size_t low, high;
  int low_shift, high_shift;
};
Place place_of(size_t element) {
  const size_t half = element / kHalf, j = element % kHalf / kRow, i = element % kRow;
  return {half * 64 + j % 2 * kRow + i, half * kRow + i, j < 2 ? 0 : 4, static_cast<int>(2 * j)};
}

float scale_of(const Layout& block, size_t group) {
  return to_float(block.d) * static_cast<float>(block.scales[group]);
}

void choose_scales(const float* x, Weights w, Layout& block) {
  std::array<float, kGroups> fits;
  float extreme = 0;
  for (size_t g = 0; g < kGroups; ++g) {
    fits[g] = best_scale({x + g * kGroup, kGroup}, w.from(g * kGroup), kLowest, kHighest);
    if (std::abs(fits[g]) > std::abs(extreme)) extreme = fits[g];
  }
  block.d = to_f16(extreme / -128);
  const float d = to_float(block.d);
  for (size_t g = 0; g < kGroups; ++g) {
    const int at = d == 0 ? 0 : static_cast<int>(std::lround(fits[g] / d));
    float least = std::numeric_limits<float>::infinity();
    for (int s = std::max(at - 1, -128); s <= std::min(at + 1, 127); ++s) {
      const Affine fit{d * static_cast<float>(s), 0};
      const float error =
          squared_error({x + g * kGroup, kGroup}, w.from(g * kGroup), fit, kLowest, kHighest);
      if (!(error < least)) continue;
      least = error;
      block.scales[g] = static_cast<int8_t>(s);
    }
  }
}

void set_integers(ConstIntegers integers, Layout& block) {
  block.low = {};
  block.high = {};
  for (size_t e = 0; e < kElements; ++e) {
    const int q = integers[e] + kZero;
    const Place at = place_of(e);
    block.low[at.low] = static_cast<uint8_t>(block.low[at.low] | (q & 15) << at.low_shift);
    block.high[at.high] = static_cast<uint8_t>(block.high[at.high] | (q >> 4) << at.high_shift);
  }
}

Layout make(const float* x, const float* importance) {
  Layout block{};
  choose_scales(x, Weights(importance), block);
  std::array<int, kElements> q;
  for (size_t e = 0; e < kElements; ++e) {
    const float scale = scale_of(block, e / kGroup);
    const float inverse = scale != 0 ? 1 / scale : 0;
    q[e] = static_cast<int>(nearest_within(x[e] * inverse, kLowest, kHighest));
  }
  set_integers(q, block);
  return block;
}

}  // namespace

void decode_q6_k(ConstBytes in, Elements out) {
  for_each_block<Layout, kElements>(in, out, [](const Layout& block, float* y) {
    for (size_t e = 0; e < kElements; ++e) {
      const Place at = place_of(e);
      const int q = (block.low[at.low] >> at.low_shift & 15) |
                    (block.high[at.high] >> at.high_shift & 3) << 4;
      y[e] = scale_of(block, e / kGroup) * static_cast<float>(q - kZero);
    }
  });
}

void encode_q6_k(ConstElements in, ConstElements importance, Bytes out) {
  make_each_block<Layout, kElements>(in, importance, out, make);
}

void grid_q6_k(ConstBytes bytes, Grids out) {
  const auto block = read_block<Layout>(bytes);
  for (size_t e = 0; e < kElements; ++e)
    out[e] = {scale_of(block, e / kGroup), 0, static_cast<int>(kLowest),
              static_cast<int>(kHighest)};
}

void put_q6_k(ConstIntegers q, Bytes block) {
  change_block<Layout>(block, [&](Layout& b) { set_integers(q, b); });
}

}  // namespace lathe::blocks
