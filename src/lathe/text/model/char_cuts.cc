#include "lathe/text/model/char_cuts.h"

#include <algorithm>
#include <bit>

namespace lathe {

CharCuts::CharCuts(size_t tokens) {
  const int bits = std::clamp(static_cast<int>(std::bit_width(tokens)), kMinBits, kMaxBits);
  shift_ = 64 - bits;
  pairs_.assign((size_t{1} << bits) / 64, 0);
  bytes_.assign((size_t{1} << 16) / 64, 0);
}

void CharCuts::add(std::string_view token) {
  const uint8_t *begin = as_bytes(token), *end = begin + token.size();
  for (const uint8_t* at = begin + 1; at < end; ++at) {
    const bool continuation = (at[0] & 0xC0) == 0x80;
    if (continuation || (at[-1] < 0x80 && at[0] < 0x80)) continue;
    const char32_t left = decode_utf8_before(begin, at).value, right = decode_utf8(at, end).value;
    if (left == kInvalidByte || right == kInvalidByte) {
      put(bytes_, byte_bit(at[-1], at[0]));
    } else {
      put(pairs_, pair_bit(left, right));
    }
  }
}

}  // namespace lathe
