// Q2_K and Q3_K, which Lathe only reads: 256 elements in 16 groups of 16.
//
//   Q2_K   x = (d·s)·q - (dmin·t): 16 bytes with s in the low and t in the high half; 64 bytes of q;
//          d f16; dmin f16
//   Q3_K   x = (d·(s - 32))·(q - 4): 32 bytes of the third bits, 64 bytes of the low two; 12 bytes
//          of s; d f16
//
// In both, each half of the block has 32 bytes of two bits: element 32·j + i of the half is in byte
// i at 2·j. The third bit of element 32·j + i of the block is bit j of byte i. Of s, 6 bits each, the
// low four of groups 0 to 7 and 8 to 15 are in the low and high halves of bytes 0 to 7; the high two
// of group 4·k + i are in byte 8 + i at 2·k.

#include <array>

#include "lathe/tensor/blocks/codecs.h"

namespace lathe::blocks {
namespace {

constexpr size_t kGroup = 16, kElements = 256, kHalf = 128, kRow = 32;
using TwoBits = std::array<uint8_t, kElements / 4>;

int two_bits(const TwoBits& bits, size_t element) {
  const size_t half = element / kHalf, j = element % kHalf / kRow, i = element % kRow;
  return bits[half * kRow + i] >> (2 * j) & 3;
}

struct Layout2 {
  std::array<uint8_t, 16> scales;
  TwoBits q;
  F16 d, dmin;
};
struct Layout3 {
  std::array<uint8_t, kRow> third;
  TwoBits low;
  std::array<uint8_t, 12> scales;
  F16 d;
  int scale(size_t group) const {
    const int low4 = scales[group % 8] >> (group < 8 ? 0 : 4) & 15;
    const int high2 = scales[8 + group % 4] >> (2 * (group / 4)) & 3;
    return (low4 | high2 << 4) - 32;
  }
};
static_assert(sizeof(Layout2) == 84 && sizeof(Layout3) == 110);

}  // namespace

void decode_q2_k(ConstBytes in, Elements out) {
  for_each_block<Layout2, kElements>(in, out, [](const Layout2& block, float* y) {
    for (size_t e = 0; e < kElements; ++e) {
      const int both = block.scales[e / kGroup];
      const float scale = to_float(block.d) * static_cast<float>(both & 15);
      const float offset = to_float(block.dmin) * static_cast<float>(both >> 4);
      y[e] = scale * static_cast<float>(two_bits(block.q, e)) - offset;
    }
  });
}

void decode_q3_k(ConstBytes in, Elements out) {
  for_each_block<Layout3, kElements>(in, out, [](const Layout3& block, float* y) {
    for (size_t e = 0; e < kElements; ++e) {
      const float scale = to_float(block.d) * static_cast<float>(block.scale(e / kGroup));
      const int third = block.third[e % kRow] >> (e / kRow) & 1;
      y[e] = scale * static_cast<float>(two_bits(block.low, e) - (third != 0 ? 0 : 4));
    }
  });
}

}  // namespace lathe::blocks
