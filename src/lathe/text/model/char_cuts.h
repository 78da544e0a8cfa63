// Borders between two characters that merging never crosses.
//
// No merge can join what stands on two sides of a border unless some token reaches over it. So
// where no token that merging can make holds the two characters at the border side by side (nor
// begins or ends inside one of them), the text may be cut:
//
//     bpe(left + right) = bpe(left) + bpe(right)
//
// A run of Chinese, one pre-token of many characters that never comes again, falls into stretches
// of one or two characters that do. Borders between two ASCII characters are not looked at: words
// are short and come again as they are.
//
// Immutable once filled, hence thread-safe.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "lathe/base/utf8.h"

namespace lathe {

class CharCuts {
 public:
  // Cuts nothing.
  CharCuts() = default;
  // For about `tokens` calls of add().
  explicit CharCuts(size_t tokens);

  // `token`: the bytes of a token that merging can make. Call it for each of them before any cut.
  void add(std::string_view token);

  // Calls f(begin, end) for the stretches of [p, q), in order.
  template <class F>
  void for_each_stretch(const uint8_t* p, const uint8_t* q, F&& f) const {
    if (!pairs_.empty() && p < q) {
      char32_t left = kInvalidByte;
      for (const uint8_t* at = p; at < q;) {
        const CodePoint right = decode_utf8(at, q);
        if (at > p && may_cut(left, right.value, at)) {
          f(p, at);
          p = at;
        }
        left = right.value;
        at += right.size;
      }
    }
    f(p, q);
  }

 private:
  static constexpr int kMinBits = 12, kMaxBits = 20;

  // Whether the border at `at`, between two characters, is one that no token reaches over. False
  // beside invalid bytes.
  bool may_cut(char32_t left, char32_t right, const uint8_t* at) const {
    if (left > 0x10FFFF || right > 0x10FFFF || (left < 0x80 && right < 0x80)) return false;
    return !has(pairs_, pair_bit(left, right)) && !has(bytes_, byte_bit(at[-1], at[0]));
  }
  // Two pairs may share a bit: a cut is lost then, no more.
  uint64_t pair_bit(char32_t left, char32_t right) const {
    const uint64_t key = uint64_t{left} << 21 | right;
    return (key * 0x9E3779B97F4A7C15ull) >> shift_;
  }
  static uint64_t byte_bit(uint8_t left, uint8_t right) { return uint64_t{left} << 8 | right; }
  static bool has(const std::vector<uint64_t>& bits, uint64_t i) {
    return bits[i >> 6] >> (i & 63) & 1;
  }
  static void put(std::vector<uint64_t>& bits, uint64_t i) {
    bits[i >> 6] |= uint64_t{1} << (i & 63);
  }

  std::vector<uint64_t> pairs_;  // hashes of characters side by side in a token
  std::vector<uint64_t> bytes_;  // bytes around a border in a token that holds half a character
  int shift_ = 0;
};

}  // namespace lathe
