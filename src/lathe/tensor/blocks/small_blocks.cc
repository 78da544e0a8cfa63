// Q4_0, Q4_1, Q5_0 and Q5_1: 32 elements with unsigned integers q of 4 or 5 bits.
//
//   Q4_0, Q5_0   x = d·(q - 8), d·(q - 16);  d = (the element of largest magnitude) / -8, / -16
//   Q4_1, Q5_1   x = d·q + m;                m = min x, d = (max x - min x) / 15, / 31
//
// In order: d f16; m f16 (the _1 types); the fifth bits, bit i of element i (the Q5 types); 16 bytes
// of four bits, in the low half of byte i those of element i, in the high half those of element
// i + 16.

#include <algorithm>
#include <array>
#include <cmath>

#include "lathe/tensor/blocks/codecs.h"
#include "lathe/tensor/blocks/scale_search.h"

namespace lathe::blocks {
namespace {

constexpr size_t kElements = 32, kHalf = 16;

template <int kBits, bool kOffset>
struct Format {
  static constexpr int kHighest = (1 << kBits) - 1;
  static constexpr int kMiddle = kOffset ? 0 : 1 << (kBits - 1);  // what the integer 0 stands at
  static constexpr size_t kFifthBits = kBits == 5 ? 4 : 0;
  static constexpr size_t kOffsetBytes = kOffset ? 2 : 0;
  struct Layout {
    std::array<std::byte, 2 + kOffsetBytes + kFifthBits + kHalf> bytes;
  };
  struct Content {
    float d = 0, m = 0;
    std::array<int, kElements> q{};
  };

  static Content unpack(const Layout& block) {
    Content c;
    c.d = read_f16(block, 0);
    if (kOffset) c.m = read_f16(block, 2);
    uint32_t fifth = 0;
    std::memcpy(&fifth, block.bytes.data() + 2 + kOffsetBytes, kFifthBits);
    const std::byte* low = block.bytes.data() + 2 + kOffsetBytes + kFifthBits;
    for (size_t i = 0; i < kHalf; ++i) {
      const int two = std::to_integer<int>(low[i]);
      c.q[i] = (two & 15) | static_cast<int>((fifth >> i & 1u) << 4);
      c.q[i + kHalf] = (two >> 4) | static_cast<int>((fifth >> (i + kHalf) & 1u) << 4);
    }
    return c;
  }

  static Layout pack(const Content& c) {
    Layout block;
    write_f16(block, 0, c.d);
    if (kOffset) write_f16(block, 2, c.m);
    uint32_t fifth = 0;
    for (size_t i = 0; i < kElements; ++i) fifth |= static_cast<uint32_t>(c.q[i] >> 4 & 1) << i;
    std::memcpy(block.bytes.data() + 2 + kOffsetBytes, &fifth, kFifthBits);
    std::byte* low = block.bytes.data() + 2 + kOffsetBytes + kFifthBits;
    for (size_t i = 0; i < kHalf; ++i)
      low[i] = static_cast<std::byte>((c.q[i] & 15) | (c.q[i + kHalf] & 15) << 4);
    return block;
  }

  static Layout make(const float* x, const float* importance) {
    Content c;
    const std::span<const float> all(x, kElements);
    const Affine fit = importance == nullptr ? reference(all) : searched(all, Weights(importance));
    c.d = fit.scale;
    c.m = fit.offset;
    const float inverse = fit.scale == 0 ? 0.0f : 1.0f / fit.scale;
    constexpr float kRound = static_cast<float>(kMiddle) + 0.5f;
    for (size_t i = 0; i < kElements; ++i) {
      const float q = std::trunc((x[i] - fit.offset) * inverse + kRound);
      c.q[i] = static_cast<int>(std::clamp(q, 0.0f, static_cast<float>(kHighest)));
    }
    return pack(c);
  }

 private:
  static Affine reference(std::span<const float> x) {
    if constexpr (kOffset) {
      const auto [least, most] = std::ranges::minmax(x);
      return {(most - least) / static_cast<float>(kHighest), least};
    }
    float extreme = 0;
    for (const float v : x)
      if (std::abs(v) > std::abs(extreme)) extreme = v;
    return {extreme / static_cast<float>(-kMiddle), 0};
  }

  static Affine searched(std::span<const float> x, Weights w) {
    Affine fit;
    if constexpr (kOffset)
      fit = best_affine(x, w, static_cast<float>(kHighest), /*never_above_zero=*/false);
    else
      fit.scale =
          best_scale(x, w, static_cast<float>(-kMiddle), static_cast<float>(kHighest - kMiddle));
    // The integers are chosen for the scales as they will be read.
    return {to_float(to_f16(fit.scale)), to_float(to_f16(fit.offset))};
  }

  static float read_f16(const Layout& block, size_t at) {
    F16 x;
    std::memcpy(&x, block.bytes.data() + at, sizeof x);
    return to_float(x);
  }
  static void write_f16(Layout& block, size_t at, float value) {
    const F16 x = to_f16(value);
    std::memcpy(block.bytes.data() + at, &x, sizeof x);
  }
};

template <class F>
void decode(ConstBytes in, Elements out) {
  for_each_block<typename F::Layout, kElements>(
      in, out, [](const typename F::Layout& block, float* y) {
        const auto c = F::unpack(block);
        for (size_t i = 0; i < kElements; ++i)
          y[i] = c.d * static_cast<float>(c.q[i] - F::kMiddle) + c.m;
      });
}

template <class F>
void encode(ConstElements in, ConstElements importance, Bytes out) {
  make_each_block<typename F::Layout, kElements>(in, importance, out, F::make);
}

template <class F>
void grid(ConstBytes block, Grids out) {
  const auto c = F::unpack(read_block<typename F::Layout>(block));
  std::ranges::fill(out, BlockGrid{c.d, c.m, -F::kMiddle, F::kHighest - F::kMiddle});
}

template <class F>
void put(ConstIntegers q, Bytes block) {
  change_block<typename F::Layout>(block, [&](typename F::Layout& b) {
    auto c = F::unpack(b);
    for (size_t i = 0; i < kElements; ++i) c.q[i] = q[i] + F::kMiddle;
    b = F::pack(c);
  });
}

using Q40 = Format<4, false>;
using Q41 = Format<4, true>;
using Q50 = Format<5, false>;
using Q51 = Format<5, true>;

}  // namespace

void decode_q4_0(ConstBytes in, Elements out) { decode<Q40>(in, out); }
void decode_q4_1(ConstBytes in, Elements out) { decode<Q41>(in, out); }
void decode_q5_0(ConstBytes in, Elements out) { decode<Q50>(in, out); }
void decode_q5_1(ConstBytes in, Elements out) { decode<Q51>(in, out); }
void encode_q4_0(ConstElements in, ConstElements w, Bytes out) { encode<Q40>(in, w, out); }
void encode_q4_1(ConstElements in, ConstElements w, Bytes out) { encode<Q41>(in, w, out); }
void encode_q5_0(ConstElements in, ConstElements w, Bytes out) { encode<Q50>(in, w, out); }
void encode_q5_1(ConstElements in, ConstElements w, Bytes out) { encode<Q51>(in, w, out); }
void grid_q4_0(ConstBytes block, Grids out) { grid<Q40>(block, out); }
void grid_q4_1(ConstBytes block, Grids out) { grid<Q41>(block, out); }
void grid_q5_0(ConstBytes block, Grids out) { grid<Q50>(block, out); }
void grid_q5_1(ConstBytes block, Grids out) { grid<Q51>(block, out); }
void put_q4_0(ConstIntegers q, Bytes block) { put<Q40>(q, block); }
void put_q4_1(ConstIntegers q, Bytes block) { put<Q41>(q, block); }
void put_q5_0(ConstIntegers q, Bytes block) { put<Q50>(q, block); }
void put_q5_1(ConstIntegers q, Bytes block) { put<Q51>(q, block); }

}  // namespace lathe::blocks
