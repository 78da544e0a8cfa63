// The forms of packed_rows.h in registers: from its bytes to integers and scales of kWidth rows.
// Include inside the level.h frame, after integer_dot.h.
#pragma once

constexpr int kWordsOfGroup = kGroup / 4;

// The integers of a group, for kWidth rows: word j of a lane holds elements 4j to 4j+3.
template <int kBits>
LATHE_INLINE void load_group(const std::byte* group, Words (&w)[kWordsOfGroup]) {
  if constexpr (kBits == 8) {
#pragma GCC unroll 8
    for (int j = 0; j < kWordsOfGroup; ++j) w[j] = load_words(group + j * kVectorBytes);
    return;
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const Words both = load_words(group + j * kVectorBytes);
    w[j] = both & 0x0F0F0F0Fu;
    w[j + 4] = both >> 4 & 0x0F0F0F0Fu;
  }
  if constexpr (kBits == 5) {
    const Words fifth = load_words(group + 4 * kVectorBytes);
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      w[j] |= fifth << (4 - j) & 0x10101010u;
      w[j + 4] |= fifth >> j & 0x10101010u;
    }
  }
  if constexpr (kBits == 6) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const Words high = load_words(group + (4 + half) * kVectorBytes);
      w[4 * half] |= high << 4 & 0x30303030u;
      w[4 * half + 1] |= high << 2 & 0x30303030u;
      w[4 * half + 2] |= high & 0x30303030u;
      w[4 * half + 3] |= high >> 2 & 0x30303030u;
    }
  }
}

struct Scales {
  Vec scale, offset;
};

// Of half `half` of group g of a run, whose scales these are, for kWidth rows from `row` on; the same
// for both halves unless the form has scales for each.
template <PackedScales kScales>
LATHE_INLINE Scales load_scales(const std::byte* scales, int64_t g, int half, int row) {
  constexpr int64_t kRow = kStripRows;
  if constexpr (kScales == PackedScales::kFlat)
    return {load_f16(scales + 2 * (g * kRow + row)), Vec{}};
  if constexpr (kScales == PackedScales::kAffine)
    return {load_f16(scales + 2 * row), load_f16(scales + 2 * (kRow + row))};
  if constexpr (kScales == PackedScales::kAffineK) {
    const std::byte* integers = scales + (4 + 2 * g) * kRow + row;
    return {load_f16(scales + 2 * row) * load_unsigned(integers),
            -(load_f16(scales + 2 * (kRow + row)) * load_unsigned(integers + kRow))};
  }
  return {load_f16(scales + 2 * row) * load_signed(scales + (2 + 2 * g + half) * kRow + row),
          Vec{}};
}
