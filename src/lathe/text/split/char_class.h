// What a pre-tokeniser needs to know of a character, in one byte.
//
// Exactly one of kLetter, kNumber, kSpace, kOther is set. The table is built once from ICU (Unicode
// 15) in two stages of 256 and then never changes; all functions are thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "lathe/base/utf8.h"

namespace lathe {

enum CharClass : uint8_t {
  kLetter = 1,   // \p{L}
  kNumber = 2,   // \p{N}
  kSpace = 4,    // \s: the White_Space property
  kOther = 8,    // none of the three; bytes of invalid UTF-8 too
  kMark = 16,    // \p{M}; also kOther
  kUpper = 32,   // \p{Lu} \p{Lt}; also kLetter
  kLower = 64,   // \p{Ll}; also kLetter
  kPunct = 128,  // \p{P} of Unicode 8 and the 32 ASCII symbols and punctuation marks
};

class CharClasses {
 public:
  static const CharClasses& get();

  uint8_t of(char32_t c) const {
    return c < 0x110000 ? pages_[page_of_[c >> 8]][c & 0xFF] : static_cast<uint8_t>(kOther);
  }
  uint8_t of_ascii(uint8_t c) const { return pages_[0][c]; }

  // First byte at or after `p` that does not belong to a character with a class in `mask`.
  const uint8_t* skip(const uint8_t* p, const uint8_t* end, uint8_t mask) const {
    while (p < end) {
      if (*p < 0x80) {
        if (!(of_ascii(*p) & mask)) return p;
        ++p;
      } else if (const CodePoint c = decode_utf8(p, end); of(c.value) & mask) {
        p += c.size;
      } else {
        return p;
      }
    }
    return p;
  }

 private:
  CharClasses();
  using Page = std::array<uint8_t, 256>;
  std::vector<Page> pages_;  // page 0 holds U+0000 to U+00FF
  std::array<uint16_t, 0x1100> page_of_{};
};

}  // namespace lathe
