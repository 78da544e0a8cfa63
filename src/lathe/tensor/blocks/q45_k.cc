// Q4_K and Q5_K: 256 elements in 8 groups of 32, x = (d·s)·q - (dmin·t). The scale s and the offset
// t of a group are integers of 6 bits; q has 4 or 5 bits.
//
// In order: d f16; dmin f16; 12 bytes of s and t; the fifth bits (Q5_K), bit g of byte i that of
// element i of group g; 128 bytes of four bits, 32 bytes for two groups: in the low half of byte i
// element i of the first, in the high half of the second.
//
// The 12 bytes: s and t of groups 0 to 3 are the low 6 bits of bytes 0 to 3 and 4 to 7; those of
// group g >= 4 have their low 4 bits in the low and high half of byte 4 + g, and their high 2 bits
// in the high bits of bytes g - 4 and g.

#include <algorithm>
#include <array>
#include <limits>

#include "lathe/tensor/blocks/codecs.h"
#include "lathe/tensor/blocks/scale_search.h"

namespace lathe::blocks {
namespace {

constexpr size_t kGroups = 8, kGroup = 32, kElements = kGroups * kGroup;
constexpr int kMostScale = 63;

struct GroupScale {
  int scale = 0, offset = 0;  // s and t
};
using GroupScales = std::array<GroupScale, kGroups>;
using PackedScales = std::array<uint8_t, 12>;

GroupScales unpack(const PackedScales& in) {
  GroupScales out;
  for (size_t g = 0; g < 4; ++g) {
    out[g] = {in[g] & 63, in[g + 4] & 63};
    out[g + 4] = {(in[g + 8] & 15) | (in[g] >> 6) << 4, (in[g + 8] >> 4) | (in[g + 4] >> 6) << 4};
  }
  return out;
}

PackedScales pack(const GroupScales& in) {
  PackedScales out{};
  for (size_t g = 0; g < 4; ++g) {
    const auto &low = in[g], &high = in[g + 4];
    out[g] = static_cast<uint8_t>(low.scale | (high.scale >> 4) << 6);
    out[g + 4] = static_cast<uint8_t>(low.offset | (high.offset >> 4) << 6);
    out[g + 8] = static_cast<uint8_t>((high.scale & 15) | (high.offset & 15) << 4);
  }
  return out;
}

// Scales of a block, and what they make of a group.
struct Scales {
  F16 d{}, dmin{};
  GroupScales groups;

  Affine of(GroupScale g) const {
    return {to_float(d) * static_cast<float>(g.scale),
            -(to_float(dmin) * static_cast<float>(g.offset))};
  }
  Affine of(size_t group) const { return of(groups[group]); }
};

int rounded(float x) {
  return static_cast<int>(nearest_within(x, 0, static_cast<float>(kMostScale)));
}

// The pair of 6-bit integers at or next to the best real ones that gives the smallest error.
GroupScale best_near(std::span<const float> x, Weights w, const Scales& scales, Affine fit,
                     float highest) {
  const float d = to_float(scales.d), dmin = to_float(scales.dmin);
  const int s = d > 0 ? rounded(fit.scale / d) : 0, t = dmin > 0 ? rounded(-fit.offset / dmin) : 0;
  GroupScale best;
  float least = std::numeric_limits<float>::infinity();
  for (int ds = -1; ds <= 1; ++ds)
    for (int dt = -1; dt <= 1; ++dt) {
      const GroupScale at{std::clamp(s + ds, 0, kMostScale), std::clamp(t + dt, 0, kMostScale)};
      const float error = squared_error(x, w, scales.of(at), 0, highest);
      if (error < least) {
        least = error;
        best = at;
      }
    }
  return best;
}

Scales search(const float* x, const float* importance, float highest) {
  std::array<Affine, kGroups> fits;
  float scale = 0, offset = 0;
  const Weights w(importance);
  for (size_t g = 0; g < kGroups; ++g) {
    fits[g] = best_affine({x + g * kGroup, kGroup}, w.from(g * kGroup), highest,
                          /*never_above_zero=*/true);
    scale = std::max(scale, fits[g].scale);
    offset = std::max(offset, -fits[g].offset);
  }
  Scales scales;
  scales.d = to_f16(scale / kMostScale);
  scales.dmin = to_f16(offset / kMostScale);
  for (size_t g = 0; g < kGroups; ++g)
    scales.groups[g] =
        best_near({x + g * kGroup, kGroup}, w.from(g * kGroup), scales, fits[g], highest);
  return scales;
}

struct Layout4 {
  F16 d, dmin;
  PackedScales scales;
  std::array<uint8_t, kElements / 2> low;
  bool fifth(size_t, size_t) const { return false; }
  void set_fifth(size_t, size_t) {}
};
struct Layout5 {
  F16 d, dmin;
  PackedScales scales;
  std::array<uint8_t, kGroup> high;
  std::array<uint8_t, kElements / 2> low;
  bool fifth(size_t group, size_t i) const { return (high[i] >> group & 1) != 0; }
  void set_fifth(size_t group, size_t i) { high[i] = static_cast<uint8_t>(high[i] | 1 << group); }
};
static_assert(sizeof(Layout4) == 144 && sizeof(Layout5) == 176);

template <class Layout>
void decode(ConstBytes in, Elements out) {
  for_each_block<Layout, kElements>(in, out, [](const Layout& block, float* y) {
    const Scales scales{block.d, block.dmin, unpack(block.scales)};
    for (size_t g = 0; g < kGroups; ++g) {
      const Affine fit = scales.of(g);
      for (size_t i = 0; i < kGroup; ++i) {
        const int two = block.low[g / 2 * kGroup + i];
        const int q = (g % 2 == 0 ? two & 15 : two >> 4) | (block.fifth(g, i) ? 16 : 0);
        y[g * kGroup + i] = fit.scale * static_cast<float>(q) + fit.offset;
      }
    }
  });
}

template <class Layout>
Layout block_of(F16 d, F16 dmin, const PackedScales& scales, ConstIntegers q) {
  Layout block{};
  block.d = d;
  block.dmin = dmin;
  block.scales = scales;
  for (size_t g = 0; g < kGroups; ++g)
    for (size_t i = 0; i < kGroup; ++i) {
      const int one = q[g * kGroup + i];
      uint8_t& two = block.low[g / 2 * kGroup + i];
      two = static_cast<uint8_t>(two | (one & 15) << (g % 2 == 0 ? 0 : 4));
      if (one > 15) block.set_fifth(g, i);
    }
  return block;
}

template <class Layout>
void encode(ConstElements in, ConstElements weights, Bytes out, int highest) {
  make_each_block<Layout, kElements>(in, weights, out, [&](const float* x, const float* w) {
    const auto most = static_cast<float>(highest);
    const Scales scales = search(x, w, most);
    std::array<int, kElements> q;
    for (size_t e = 0; e < kElements; ++e) {
      const Affine fit = scales.of(e / kGroup);
      const float inverse = fit.scale > 0 ? 1 / fit.scale : 0;
      q[e] = static_cast<int>(nearest_within((x[e] - fit.offset) * inverse, 0, most));
    }
    return block_of<Layout>(scales.d, scales.dmin, pack(scales.groups), q);
  });
}

template <class Layout>
void grid(ConstBytes bytes, Grids out, int highest) {
  const auto block = read_block<Layout>(bytes);
  const Scales scales{block.d, block.dmin, unpack(block.scales)};
  for (size_t e = 0; e < kElements; ++e) {
    const Affine fit = scales.of(e / kGroup);
    out[e] = {fit.scale, fit.offset, 0, highest};
  }
}

template <class Layout>
void put(ConstIntegers q, Bytes bytes) {
  change_block<Layout>(bytes, [&](Layout& block) {
    block = block_of<Layout>(block.d, block.dmin, block.scales, q);
  });
}

}  // namespace

void decode_q4_k(ConstBytes in, Elements out) { decode<Layout4>(in, out); }
void decode_q5_k(ConstBytes in, Elements out) { decode<Layout5>(in, out); }
void encode_q4_k(ConstElements in, ConstElements w, Bytes out) { encode<Layout4>(in, w, out, 15); }
void encode_q5_k(ConstElements in, ConstElements w, Bytes out) { encode<Layout5>(in, w, out, 31); }
void grid_q4_k(ConstBytes block, Grids out) { grid<Layout4>(block, out, 15); }
void grid_q5_k(ConstBytes block, Grids out) { grid<Layout5>(block, out, 31); }
void put_q4_k(ConstIntegers q, Bytes block) { put<Layout4>(q, block); }
void put_q5_k(ConstIntegers q, Bytes block) { put<Layout5>(q, block); }

}  // namespace lathe::blocks
