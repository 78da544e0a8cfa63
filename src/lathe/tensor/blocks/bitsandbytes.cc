#include "lathe/tensor/blocks/bitsandbytes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "lathe/tensor/blocks/codecs.h"

namespace lathe {
namespace {

constexpr std::array<float, 16> kNf4 = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

// In units of a sixteenth of a third.
constexpr std::array<float, 16> fp4_table() {
  std::array<float, 16> levels{};
  constexpr float kMagnitudes[] = {0, 0.0625f, 8, 12, 4, 6, 2, 3};
  for (size_t q = 0; q < 8; ++q) {
    levels[q] = kMagnitudes[q] / 12;
    levels[q + 8] = -levels[q];
  }
  return levels;
}
constexpr std::array<float, 16> kFp4 = fp4_table();

constexpr size_t kElements = 32, kInts = 4;
constexpr int64_t kNf4Block = 64, kScaleBlock = 256;
constexpr float kSmallest = 1e-38f;  // what a largest magnitude is divided by at least

struct FourBits {
  float scale;
  std::array<uint8_t, kElements / 2> codes;
};
struct Ints {
  float scale;
  std::array<int8_t, kInts> q;
};
static_assert(sizeof(FourBits) == 20 && sizeof(Ints) == 8);

// The last block of a matrix may be longer than what is left of it.
void decode_four_bits(std::span<const float, 16> levels, std::span<const std::byte> in,
                      std::span<float> out) {
  FourBits block{};
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t at = i % kElements;
    if (at == 0) std::memcpy(&block, in.data() + i / kElements * sizeof block, sizeof block);
    const int two = block.codes[at / 2];
    out[i] = levels[static_cast<size_t>(at % 2 == 0 ? two >> 4 : two & 15)] * block.scale;
  }
}

// The code of the level next to x, of ascending levels.
size_t nearest_level(std::span<const float> levels, float x) {
  size_t below = 0, above = levels.size() - 1;
  while (above - below > 1) {
    const size_t middle = (below + above) / 2;
    (levels[middle] <= x ? below : above) = middle;
  }
  return x > (levels[below] + levels[above]) / 2 ? above : below;
}

float largest_magnitude(std::span<const float> x) {
  float most = 0;
  for (const float v : x) most = std::max(most, std::abs(v));
  return most;
}

std::span<const float> part_of(std::span<const float> x, size_t index, int64_t block) {
  const size_t first = index * static_cast<size_t>(block);
  return x.subspan(first, std::min(static_cast<size_t>(block), x.size() - first));
}

size_t parts_of(size_t elements, int64_t block) {
  const auto size = static_cast<size_t>(block);
  return (elements + size - 1) / size;
}

}  // namespace

std::span<const float, 16> nf4_levels() { return kNf4; }
std::span<const float, 16> fp4_levels() { return kFp4; }

std::span<const float> dynamic_levels() {
  static const std::vector<float> levels = [] {
    std::vector<float> all = {0, 1};
    for (int i = 0; i < 7; ++i) {
      const int steps = 1 << i;  // between 0.1 and 1, of which the middles count
      for (int j = 0; j < steps; ++j) {
        const double middle = 0.1 + 0.9 * (j + 0.5) / steps;
        const auto level = static_cast<float>(std::pow(10.0, i - 6) * middle);
        all.insert(all.end(), {level, -level});
      }
    }
    std::ranges::sort(all);
    return all;
  }();
  return levels;
}

namespace {

float scale_at(const QuantisedScales& scales, size_t i) {
  return scales.levels[scales.codes[i]] * scales.maxima[i / static_cast<size_t>(scales.block)] +
         scales.offset;
}

}  // namespace

std::vector<float> decode_scales(const QuantisedScales& scales) {
  std::vector<float> out;
  out.reserve(scales.codes.size());
  for (size_t i = 0; i < scales.codes.size(); ++i) out.push_back(scale_at(scales, i));
  return out;
}

QuantisedScales encode_scales(std::span<const float> scales) {
  QuantisedScales out;
  out.block = kScaleBlock;
  out.levels.assign(dynamic_levels().begin(), dynamic_levels().end());
  if (scales.empty()) return out;
  out.offset = static_cast<float>(std::accumulate(scales.begin(), scales.end(), 0.0) /
                                  static_cast<double>(scales.size()));
  std::vector<float> rest(scales.begin(), scales.end());
  for (float& v : rest) v -= out.offset;
  for (size_t part = 0; part < parts_of(rest.size(), kScaleBlock); ++part) {
    const auto of_part = part_of(rest, part, kScaleBlock);
    const float most = largest_magnitude(of_part), inverse = 1 / std::max(most, kSmallest);
    out.maxima.push_back(most);
    for (const float v : of_part)
      out.codes.push_back(
          static_cast<uint8_t>(nearest_level(out.levels, std::clamp(v * inverse, -1.0f, 1.0f))));
  }
  return out;
}

std::vector<std::byte> four_bit_blocks(std::span<const std::byte> codes,
                                       std::span<const float> scales, int64_t block) {
  constexpr size_t kBytes = kElements / 2;
  std::vector<std::byte> out;
  out.reserve((codes.size() + kBytes - 1) / kBytes * sizeof(FourBits));
  for (size_t first = 0; first < codes.size(); first += kBytes) {
    FourBits packed{scales[2 * first / static_cast<size_t>(block)], {}};
    std::memcpy(packed.codes.data(), codes.data() + first, std::min(kBytes, codes.size() - first));
    const auto bytes = std::as_bytes(std::span(&packed, 1));
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

std::vector<std::byte> int8_blocks(std::span<const std::byte> codes,
                                   std::span<const float> scales) {
  std::vector<std::byte> out;
  out.reserve(2 * codes.size());
  const size_t columns = scales.empty() ? 0 : codes.size() / scales.size();
  for (size_t first = 0; first < codes.size(); first += kInts) {
    Ints packed{scales[first / columns], {}};
    std::memcpy(packed.q.data(), codes.data() + first, kInts);
    const auto bytes = std::as_bytes(std::span(&packed, 1));
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

Nf4Numbers::Nf4Numbers(size_t count_of_numbers, bool quantise_scales)
    : count(count_of_numbers), codes({static_cast<int64_t>((count + 1) / 2)}, DType::kU8) {
  const auto blocks = static_cast<int64_t>(parts_of(count, kNf4Block));
  if (!quantise_scales) scales = Tensor({blocks}, DType::kF32);
}

size_t Nf4Numbers::bytes() const {
  return codes.bytes() + (scales.defined() ? scales.bytes() : 0) +
         sizeof(float) * quantised_scales.maxima.size() + quantised_scales.codes.size();
}

namespace {

template <class T>
void decode_nf4(const Nf4Numbers& numbers, size_t first, std::span<T> out) {
  constexpr auto kBlock = static_cast<size_t>(kNf4Block);
  const uint8_t* const codes = numbers.codes.data<uint8_t>();
  const float* const scales = numbers.scales.defined() ? numbers.scales.data<float>() : nullptr;
  for (size_t i = 0; i < out.size();) {
    const size_t block = (first + i) / kBlock;
    const float scale =
        scales != nullptr ? scales[block] : scale_at(numbers.quantised_scales, block);
    std::array<T, 16> levels;
    for (size_t q = 0; q < levels.size(); ++q) levels[q] = from_double<T>(kNf4[q] * scale);
    const size_t end = std::min(out.size(), (block + 1) * kBlock - first);
    if ((first + i) % 2 == 1) {
      out[i] = levels[codes[(first + i) / 2] & 15];
      ++i;
    }
    for (; i + 1 < end; i += 2) {
      const uint8_t two = codes[(first + i) / 2];
      out[i] = levels[two >> 4];
      out[i + 1] = levels[two & 15];
    }
    if (i < end) {
      out[i] = levels[codes[(first + i) / 2] >> 4];
      ++i;
    }
  }
}

}  // namespace

void Nf4Numbers::decode(size_t first, std::span<float> out) const { decode_nf4(*this, first, out); }
void Nf4Numbers::decode(size_t first, std::span<BF16> out) const { decode_nf4(*this, first, out); }

Nf4Numbers encode_nf4(const Tensor& elements, bool quantise_scales) {
  const std::span<const float> x = elements.span<float>();
  Nf4Numbers out(x.size(), quantise_scales);
  const size_t parts = parts_of(x.size(), kNf4Block);
  std::vector<float> scales;
  if (!elements.holds_values()) {  // nor do the codes
    scales.resize(parts);
  } else {
    out.codes.fill_zero();
    for (size_t part = 0; part < parts; ++part)
      scales.push_back(largest_magnitude(part_of(x, part, kNf4Block)));
    for (size_t i = 0; i < x.size(); ++i) {
      const float scale = scales[i / static_cast<size_t>(kNf4Block)];
      const float of_scale = x[i] * (1 / std::max(scale, kSmallest));
      const auto code =
          static_cast<uint8_t>(nearest_level(kNf4, std::clamp(of_scale, -1.0f, 1.0f)));
      out.codes.data<uint8_t>()[i / 2] |= static_cast<uint8_t>(i % 2 == 0 ? code << 4 : code);
    }
  }
  if (quantise_scales) {
    out.quantised_scales = encode_scales(scales);
  } else {
    std::ranges::copy(scales, out.scales.data<float>());
  }
  return out;
}

void round_to_nf4(const Tensor& elements, bool quantise_scales) {
  encode_nf4(elements, quantise_scales).decode(0, elements.span<float>());
}

namespace blocks {

void decode_nf4(ConstBytes in, Elements out) { decode_four_bits(kNf4, in, out); }
void decode_fp4(ConstBytes in, Elements out) { decode_four_bits(kFp4, in, out); }

void decode_int8(ConstBytes in, Elements out) {
  for_each_block<Ints, kInts>(in, out, [](const Ints& block, float* y) {
    constexpr float kUnit = 1.0f / 127;
    for (size_t i = 0; i < kInts; ++i) y[i] = static_cast<float>(block.q[i]) * block.scale * kUnit;
  });
}

}  // namespace blocks
}  // namespace lathe
