#include "lathe/kernels/quantized/packed_rows.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/tensor/dtype.h"

namespace lathe::kernels {
namespace {

constexpr size_t kWords = kGroup / 4;  // of four elements
constexpr size_t kGroupsOfBlock = 8;   // of the _K types
constexpr uint32_t kLow = 0x0F0F0F0F;

struct Pairing {
  std::string_view type;
  PackedForm form;
};
constexpr Pairing kPairings[] = {
    {"Q8_0", PackedForm::kQ8},  {"Q4_0", PackedForm::kQ4},       {"Q4_1", PackedForm::kQ4Affine},
    {"Q5_0", PackedForm::kQ5},  {"Q5_1", PackedForm::kQ5Affine}, {"Q4_K", PackedForm::kQ4K},
    {"Q5_K", PackedForm::kQ5K}, {"Q6_K", PackedForm::kQ6K},
};

// The integers of one group of one row.
using Integers = std::array<uint8_t, kGroup>;

uint32_t word(const uint8_t* bytes) {
  uint32_t w;
  std::memcpy(&w, bytes, sizeof w);
  return w;
}

// --- writing a strip

// One row of a strip that is being written: the scales of a run, then its groups, or by turns.
class RowWriter {
 public:
  RowWriter(const PackedRows& to, std::byte* strip, int64_t row)
      : layout_(layout_of(to.form)), next_(strip), row_(row) {}

  // Two bytes or one for this row; what follows for the other rows is skipped.
  void scale16(const uint8_t* bits) { put_scale(bits, 2); }
  void scale8(uint8_t bits) { put_scale(&bits, 1); }

  void group(const Integers& q) {
    uint32_t high[2] = {};
    for (size_t j = 0; j < kWords; ++j) {
      const uint32_t w = word(&q[4 * j]), above = w >> 4 & kLow;
      if (layout_.bits == 8) {
        put(static_cast<int64_t>(j), w);
      } else {
        if (j < 4) put(static_cast<int64_t>(j), (w & kLow) | (word(&q[4 * j + 16]) & kLow) << 4);
        if (layout_.bits == 5) high[0] |= above << j;
        if (layout_.bits == 6) high[j / 4] |= above << (2 * (j % 4));
      }
    }
    for (int64_t plane = 0; plane + 4 < layout_.bits && layout_.bits < 8; ++plane)
      put(4 + plane, high[plane]);
    integers_ += layout_.group_bytes();
    if (--left_ == 0) next_ = integers_;
  }

 private:
  void begin_run() {
    scales_ = next_;
    integers_ = next_ + layout_.scale_bytes();
    left_ = layout_.run();
  }
  void put(int64_t vector, uint32_t w) {
    std::memcpy(integers_ + 4 * row_ + vector * kVectorBytes, &w, sizeof w);
  }
  void put_scale(const uint8_t* bits, int64_t bytes) {
    if (left_ == 0) begin_run();
    std::memcpy(scales_ + row_ * bytes, bits, static_cast<size_t>(bytes));
    scales_ += kStripRows * bytes;
  }

  PackedLayout layout_;
  std::byte* next_;  // run
  std::byte* scales_ = nullptr;
  std::byte* integers_ = nullptr;
  int64_t row_;
  int64_t left_ = 0;  // groups of the run that are not yet written
};

// --- the blocks of files (tensor/blocks says where their bits are)

using Block = const uint8_t*;

void spread_fifth_bits(uint32_t bits, Integers& q) {
  for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<uint8_t>(q[i] | (bits >> i & 1u) << 4);
}

void write_q8_0(Block in, RowWriter& out) {
  out.scale16(in);
  Integers q;
  for (size_t i = 0; i < q.size(); ++i) q[i] = in[2 + i] ^ 0x80;
  out.group(q);
}

template <int kBits, bool kOffset>
void write_small(Block in, RowWriter& out) {
  out.scale16(in);
  if (kOffset) out.scale16(in + 2);
  in += kOffset ? 4 : 2;
  Integers q;
  const Block low = in + (kBits == 5 ? 4 : 0);
  for (size_t i = 0; i < 16; ++i) {
    q[i] = low[i] & 15;
    q[i + 16] = low[i] >> 4;
  }
  if (kBits == 5) spread_fifth_bits(word(in), q);
  out.group(q);
}

// s and t of group g in the 12 bytes of Q4_K and Q5_K.
std::array<uint8_t, 2> scales_of_k(Block in, size_t g) {
  if (g < 4) return {static_cast<uint8_t>(in[g] & 63), static_cast<uint8_t>(in[g + 4] & 63)};
  return {static_cast<uint8_t>((in[g + 4] & 15) | (in[g - 4] >> 6) << 4),
          static_cast<uint8_t>(in[g + 4] >> 4 | (in[g] >> 6) << 4)};
}

template <int kBits>
void write_k(Block in, RowWriter& out) {
  out.scale16(in);
  out.scale16(in + 2);
  const Block fifth = in + 16, low = fifth + (kBits == 5 ? 32 : 0);
  for (size_t g = 0; g < kGroupsOfBlock; ++g) {
    const auto [s, t] = scales_of_k(in + 4, g);
    out.scale8(s);
    out.scale8(t);
    Integers q;
    const Block two = low + g / 2 * 32;
    for (size_t i = 0; i < q.size(); ++i) {
      q[i] = g % 2 == 0 ? two[i] & 15 : two[i] >> 4;
      if (kBits == 5) q[i] = static_cast<uint8_t>(q[i] | (fifth[i] >> g & 1) << 4);
    }
    out.group(q);
  }
}

void write_q6_k(Block in, RowWriter& out) {
  const Block scales = in + 192;
  out.scale16(scales + 16);
  for (size_t g = 0; g < kGroupsOfBlock; ++g) {
    out.scale8(scales[2 * g]);
    out.scale8(scales[2 * g + 1]);
    const size_t half = g / 4, j = g % 4;
    const Block low = in + half * 64 + j % 2 * 32, high = in + 128 + half * 32;
    Integers q;
    for (size_t i = 0; i < q.size(); ++i)
      q[i] =
          static_cast<uint8_t>((j < 2 ? low[i] & 15 : low[i] >> 4) | (high[i] >> (2 * j) & 3) << 4);
    out.group(q);
  }
}

struct BlockWriter {
  void (*write)(Block, RowWriter&);
  int64_t bytes, elements;
};
BlockWriter writer_of(PackedForm form) {
  switch (form) {
    case PackedForm::kQ8:
      return {write_q8_0, 34, 32};
    case PackedForm::kQ4:
      return {write_small<4, false>, 18, 32};
    case PackedForm::kQ4Affine:
      return {write_small<4, true>, 20, 32};
    case PackedForm::kQ5:
      return {write_small<5, false>, 22, 32};
    case PackedForm::kQ5Affine:
      return {write_small<5, true>, 24, 32};
    case PackedForm::kQ4K:
      return {write_k<4>, 144, 256};
    case PackedForm::kQ5K:
      return {write_k<5>, 176, 256};
    case PackedForm::kQ6K:
      return {write_q6_k, 210, 256};
  }
  return {};
}

// --- reading an element

float f16_at(const std::byte* scales, int64_t row) {
  F16 x;
  std::memcpy(&x, scales + 2 * row, sizeof x);
  return to_float(x);
}
float integer_at(const std::byte* scales, int64_t row) {
  return static_cast<float>(std::to_integer<uint8_t>(scales[row]));
}

struct Affine {
  float scale, offset;
};

// Of the half `half` of group g of a run, whose scales these are.
Affine scale_at(PackedScales kind, const std::byte* scales, int64_t g, int64_t half, int64_t row) {
  switch (kind) {
    case PackedScales::kFlat:
      return {f16_at(scales + g * 2 * kStripRows, row), 0};
    case PackedScales::kAffine:
      return {f16_at(scales, row), f16_at(scales + 2 * kStripRows, row)};
    case PackedScales::kAffineK: {
      const std::byte* two = scales + (4 + 2 * g) * kStripRows;
      return {f16_at(scales, row) * integer_at(two, row),
              -(f16_at(scales + 2 * kStripRows, row) * integer_at(two + kStripRows, row))};
    }
    case PackedScales::kHalvesK: {
      const auto s = std::to_integer<int8_t>(scales[(2 + 2 * g + half) * kStripRows + row]);
      return {f16_at(scales, row) * static_cast<float>(s), 0};
    }
  }
  return {};
}

// Of the group at `group`, of a row whose words begin at byte 4·row of every vector.
Integers integers_at(int bits, const std::byte* group, int64_t row) {
  const auto vector = [&](size_t v) {
    return word(reinterpret_cast<const uint8_t*>(group) + v * kVectorBytes +
                4 * static_cast<size_t>(row));
  };
  Integers q;
  for (size_t j = 0; j < kWords; ++j) {
    uint32_t w = bits == 8 ? vector(j) : vector(j % 4) >> (j < 4 ? 0 : 4) & kLow;
    if (bits == 5) w |= (vector(4) >> j & 0x01010101u) << 4;
    if (bits == 6) w |= (vector(4 + j / 4) >> (2 * (j % 4)) & 0x03030303u) << 4;
    std::memcpy(&q[4 * j], &w, sizeof w);
  }
  return q;
}

}  // namespace

bool can_pack(const BlockType& type) {
  return std::ranges::find(kPairings, type.name, &Pairing::type) != std::end(kPairings);
}

PackedRows packed_form(const BlockType& type, int64_t rows, int64_t columns) {
  const auto* found = std::ranges::find(kPairings, type.name, &Pairing::type);
  require(found != std::end(kPairings), ErrorKind::kData, "weights",
          "products cannot read blocks of type {}; decode them to elements", type.name);
  require(columns % type.block == 0, ErrorKind::kData, "weights",
          "rows of {} elements are not whole blocks of {}, which type {} has", columns, type.block,
          type.name);
  return {.form = found->form, .rows = rows, .columns = columns, .data = nullptr};
}

void pack_rows(const PackedRows& form, std::span<const std::byte* const> rows,
               std::span<std::byte> out) {
  const BlockWriter writer = writer_of(form.form);
  const int64_t row_bytes = form.columns / writer.elements * writer.bytes;
  parallel_for(form.strips(), 1, [&](int64_t s) {
    std::byte* strip = out.data() + s * form.strip_bytes();
    std::fill_n(strip, form.strip_bytes(), std::byte{0});
    for (int64_t r = 0; r < std::min(kStripRows, form.rows - s * kStripRows); ++r) {
      RowWriter to(form, strip, r);
      const auto* from = reinterpret_cast<Block>(rows[static_cast<size_t>(s * kStripRows + r)]);
      for (int64_t at = 0; at < row_bytes; at += writer.bytes) writer.write(from + at, to);
    }
  });
}

void unpack_row(const PackedRows& from, int64_t row, std::span<float> out) {
  const PackedLayout layout = layout_of(from.form);
  const std::byte* scales = nullptr;
  const std::byte* next = from.strip(row / kStripRows);
  row %= kStripRows;
  float* to = out.data();
  for (int64_t g = 0; g < from.groups(); ++g, next += layout.group_bytes()) {
    const int64_t of_run = g % layout.run();
    if (of_run == 0) {
      scales = next;
      next += layout.scale_bytes();
    }
    const Integers q = integers_at(layout.bits, next, row);
    for (size_t half = 0; half < 2; ++half) {
      const Affine fit = scale_at(layout.scales, scales, of_run, static_cast<int64_t>(half), row);
      for (size_t i = 0; i < q.size() / 2; ++i)
        *to++ =
            fit.scale * static_cast<float>(q[half * q.size() / 2 + i] - layout.zero) + fit.offset;
    }
  }
}

}  // namespace lathe::kernels
