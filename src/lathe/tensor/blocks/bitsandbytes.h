// The number formats of the library bitsandbytes: four bits of NF4 (NormalFloat) and FP4 with a scale
// for each block, the largest magnitude in it, and scales that are themselves quantised to eight bits
// (Dettmers et al. 2023, arXiv:2305.14314); rows of int8 (Dettmers et al. 2022, arXiv:2208.07339).
//
//   four bits    x = level(q)·scale, blocks run through the elements of a matrix row by row
//   scales       scale = level(q)·m + offset, m for each 256 scales, offset the mean of all
//   int8         x = q·SCB/127, SCB the largest magnitude of the row
//
// Values: https://github.com/bitsandbytes-foundation/bitsandbytes. All functions are thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lathe/tensor/tensor.h"

namespace lathe {

// In the order of their codes. Those of NF4 are quantiles of the normal distribution, scaled to
// [-1, 1]; those of FP4 have a sign, two bits of exponent and one of fraction.
std::span<const float, 16> nf4_levels();
std::span<const float, 16> fp4_levels();
// 256 levels for quantised scales, ascending: fractions that are finer the larger the number
// (Dettmers et al. 2021, arXiv:2110.02861).
std::span<const float> dynamic_levels();

struct QuantisedScales {
  std::vector<uint8_t> codes;
  std::vector<float> levels, maxima;  // 256; one for each `block` codes
  int64_t block = 256;
  float offset = 0;
};
std::vector<float> decode_scales(const QuantisedScales& scales);
QuantisedScales encode_scales(std::span<const float> scales);

// Blocks of 32 elements, one f32 and 16 bytes, two codes each, that of the first element in the high
// half: the form in which arrays of dtype "NF4" and "FP4" are decoded (block_type.h). Larger blocks of
// bitsandbytes are several of these with the same scale. `codes` are of elements/2 bytes, rounded up,
// and each of `scales` is for `block` elements, a multiple of 32.
std::vector<std::byte> four_bit_blocks(std::span<const std::byte> codes,
                                       std::span<const float> scales, int64_t block);
// Blocks of 4 elements, SCB as f32 and 4 of int8, of dtype "INT8". The rows of `codes` are whole
// blocks; scales has one for each row.
std::vector<std::byte> int8_blocks(std::span<const std::byte> codes, std::span<const float> scales);

// Numbers in NF4, in blocks of 64: two codes in each byte, that of the first element in the high half, and
// a scale for each block, as f32 or quantised too ("double quantisation").
struct Nf4Numbers {
  // Of numbers that are still to be written.
  Nf4Numbers(size_t count, bool quantise_scales);

  size_t count = 0;
  Tensor codes;   // u8
  Tensor scales;  // of the blocks, f32; undefined where they are quantised
  QuantisedScales quantised_scales;

  size_t bytes() const;
  // The elements [first, first + out.size()).
  void decode(size_t first, std::span<float> out) const;
  void decode(size_t first, std::span<BF16> out) const;
};
// Of finite elements, f32 and contiguous. Between two levels the nearer is taken, the lower in the middle.
Nf4Numbers encode_nf4(const Tensor& elements, bool quantise_scales);
// Each element becomes what decode() gives back.
void round_to_nf4(const Tensor& elements, bool quantise_scales);

}  // namespace lathe
