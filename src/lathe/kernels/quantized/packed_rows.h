// Rows of a quantised matrix, in the layout in which products read them.
//
// A file stores each row's blocks one behind the other. Here 16 rows make a strip, in which they lie
// side by side, so that a vector register holds the same four elements of several rows, and one
// instruction multiplies them with four elements of x for each row:
//
//   strip      runs, one behind the other: a product reads memory in one ascending stream, which is
//              what processors prefetch
//   run        the scales of some groups, padded to 64 bytes; then the integers of each
//   group      32 elements of each of 16 rows: vectors of 64 bytes, 4 bytes for each row
//   integers   of 8 bits: vector j (0 to 7) holds elements 4j to 4j+3
//              of 4: vector j (0 to 3) holds elements 4j to 4j+3 in the low halves of its bytes,
//                elements 16+4j to 19+4j in the high halves
//              of 5: the same and one vector of fifth bits: bit j of byte i is that of element 4j+i
//              of 6: the same and two vectors of the two high bits: bits 2j and 2j+1 of byte i are
//                those of element 4j+i, in the second vector those of element 16+4j+i
//
// Integers q are unsigned; an element is scale·(q - zero) or scale·q + offset. The scales of a run,
// for 16 rows each:
//
//   flat       of 2 groups (1 at the end of an odd number): scale f16 of each
//   affine     of 1 group: scale f16, offset f16
//   affine_k   of 8 groups: d f16, dmin f16, and for each group s u8 and t u8: scale = d·s,
//              offset = -(dmin·t)
//   halves_k   of 8 groups: d f16, and for each half of a group (16 elements) s i8: scale = d·s
//
// The elements are those of the file's blocks exactly, and no form has more than 3 % more bytes,
// padding of an odd number of groups and of an incomplete strip apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lathe/tensor/blocks/block_type.h"

namespace lathe::kernels {

enum class PackedScales : uint8_t { kFlat, kAffine, kAffineK, kHalvesK };

// One for each type of blocks.
enum class PackedForm : uint8_t { kQ8, kQ4, kQ4Affine, kQ5, kQ5Affine, kQ4K, kQ5K, kQ6K };

constexpr int64_t kStripRows = 16, kGroup = 32, kVectorBytes = 64;

struct PackedLayout {
  int bits;
  int zero;
  PackedScales scales;

  constexpr int64_t group_bytes() const { return kStripRows * kGroup * bits / 8; }
  // Groups of a run.
  constexpr int64_t run() const {
    switch (scales) {
      case PackedScales::kFlat:
        return 2;
      case PackedScales::kAffine:
        return 1;
      case PackedScales::kAffineK:
      case PackedScales::kHalvesK:
        return 8;
    }
    return 1;
  }
  // Of the scales of a run.
  constexpr int64_t scale_bytes() const {
    switch (scales) {
      case PackedScales::kFlat:
      case PackedScales::kAffine:
        return kStripRows * 4;
      case PackedScales::kAffineK:
        return kStripRows * (4 + 2 * run());
      case PackedScales::kHalvesK:
        return (kStripRows * (2 + 2 * run()) + kVectorBytes - 1) / kVectorBytes * kVectorBytes;
    }
    return 0;
  }
  constexpr int64_t strip_bytes(int64_t groups) const {
    return (groups + run() - 1) / run() * scale_bytes() + groups * group_bytes();
  }
};

constexpr PackedLayout layout_of(PackedForm form) {
  switch (form) {
    case PackedForm::kQ8:
      return {8, 128, PackedScales::kFlat};
    case PackedForm::kQ4:
      return {4, 8, PackedScales::kFlat};
    case PackedForm::kQ4Affine:
      return {4, 0, PackedScales::kAffine};
    case PackedForm::kQ5:
      return {5, 16, PackedScales::kFlat};
    case PackedForm::kQ5Affine:
      return {5, 0, PackedScales::kAffine};
    case PackedForm::kQ4K:
      return {4, 0, PackedScales::kAffineK};
    case PackedForm::kQ5K:
      return {5, 0, PackedScales::kAffineK};
    case PackedForm::kQ6K:
      return {6, 32, PackedScales::kHalvesK};
  }
  return {};
}

// Some rows of a matrix; does not own them. Rows that fill up the last strip are zeros.
struct PackedRows {
  PackedForm form = PackedForm::kQ8;
  int64_t rows = 0, columns = 0;
  const std::byte* data = nullptr;  // aligned to 64 bytes

  int64_t strips() const { return (rows + kStripRows - 1) / kStripRows; }
  int64_t groups() const { return columns / kGroup; }
  int64_t strip_bytes() const { return layout_of(form).strip_bytes(groups()); }
  int64_t bytes() const { return strips() * strip_bytes(); }
  const std::byte* strip(int64_t s) const { return data + s * strip_bytes(); }
};

// A matrix whose rows have several forms: the parts one below the other, all of the same width.
struct PackedParts {
  std::span<const PackedRows> parts;
};

// Whether there is a form for blocks of this type: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K.
bool can_pack(const BlockType& type);

// The form of [rows, columns] blocks of `type`, without data; columns is a multiple of the type's
// block. Throws kData for a type that cannot be packed.
PackedRows packed_form(const BlockType& type, int64_t rows, int64_t columns);

// Fills `out`, of the bytes that `form` has, in parallel; rows[r] are the blocks of row r, anywhere.
void pack_rows(const PackedRows& form, std::span<const std::byte* const> rows,
               std::span<std::byte> out);

// The elements of one row; exactly those of its blocks.
void unpack_row(const PackedRows& from, int64_t row, std::span<float> out);

}  // namespace lathe::kernels
