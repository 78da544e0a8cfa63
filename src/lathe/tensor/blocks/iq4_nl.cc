// IQ4_NL, which Lathe only reads: 32 elements, x = d·level(q). d f16, then 16 bytes of four bits as
// in Q4_0. The levels lie closer near zero, where most weights are.

#include <array>

#include "lathe/tensor/blocks/codecs.h"

namespace lathe::blocks {
namespace {

constexpr size_t kElements = 32, kHalf = 16;
constexpr std::array<float, 16> kLevels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};

struct Layout {
  F16 d;
  std::array<uint8_t, kHalf> q;
};
static_assert(sizeof(Layout) == 18);

}  // namespace

void decode_iq4_nl(ConstBytes in, Elements out) {
  for_each_block<Layout, kElements>(in, out, [](const Layout& block, float* y) {
    const float d = to_float(block.d);
    for (size_t i = 0; i < kHalf; ++i) {
      y[i] = d * kLevels[block.q[i] & 15];
      y[i + kHalf] = d * kLevels[block.q[i] >> 4];
    }
  });
}

}  // namespace lathe::blocks
