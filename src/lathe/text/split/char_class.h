// What a pre-tokeniser's pattern needs to know of a character, in one byte.
//
// Exactly one of kLetter, kNumber, kSpace, kOther is set. The table is built once from ICU (Unicode
// 15) and then never changes; all functions are thread-safe. The classes that the steps of
// tokenizer.json name by themselves are in library_class.h.
#pragma once

#include <cstdint>

#include "lathe/base/utf8.h"
#include "lathe/text/paged_table.h"

namespace lathe {

enum CharClass : uint8_t {
  kLetter = 1,  // \p{L}
  kNumber = 2,  // \p{N}
  kSpace = 4,   // \s: the White_Space property
  kOther = 8,   // none of the three; bytes of invalid UTF-8 too
  kMark = 16,   // \p{M}; also kOther
  kUpper = 32,  // \p{Lu} \p{Lt}; also kLetter
  kLower = 64,  // \p{Ll}; also kLetter
};

class CharClasses {
 public:
  static const CharClasses& get();

  uint8_t of(char32_t c) const { return c < 0x110000 ? table_[c] : static_cast<uint8_t>(kOther); }
  uint8_t of_ascii(uint8_t c) const { return table_.of_latin1(c); }

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
  PagedTable<uint8_t> table_;
};

}  // namespace lathe
