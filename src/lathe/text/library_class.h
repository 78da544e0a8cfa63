// The classes of characters that the steps of a tokenizer.json speak of, exactly as `tokenizers`
// 0.23.3 has them: each comes from another package there, with a Unicode of its own. ICU knows
// Unicode 15; characters of later versions are listed where the library has them, characters that
// an older table there lacks are left out by their age. tools/make_normalizer_goldens.py writes
// what the library itself says of all code points, and the tests hold this table against that.
#pragma once

#include <cstdint>

#include "lathe/base/utf8.h"
#include "lathe/text/paged_table.h"

namespace lathe {

enum LibraryClass : uint16_t {
  kWordChar = 1,      // \w: Alphabetic, M, Nd, Pc, Join_Control (Unicode 16)
  kNumeric = 2,       // N (Unicode 17)
  kWhiteSpace = 4,    // White_Space
  kPunctuation = 8,   // P (Unicode 8), and all of ASCII that is P or S
  kControl = 16,      // Cc, Cf, Co (Unicode 8) but for tab, line feed and carriage return
  kAnyMark = 32,      // M (Unicode 9)
  kNonspacing = 64,   // Mn (Unicode 8)
  kIdeograph = 128,   // the blocks that BERT puts spaces around
  kAfterForms = 256,  // newer than the Unicode 9 of NFC and its kin, which leave it as it is
};

class LibraryClasses {
 public:
  static const LibraryClasses& get();

  // 0 for kInvalidByte: an invalid byte is a symbol of no class.
  uint16_t of(char32_t c) const { return c < 0x110000 ? table_[c] : 0; }
  uint16_t of_ascii(uint8_t c) const { return table_.of_latin1(c); }

 private:
  LibraryClasses();
  PagedTable<uint16_t> table_;
};

// Lower case by Unicode 17, one character for one: U+0130, the only character whose lower case is
// two, stays.
char32_t lower_case(char32_t c);

}  // namespace lathe
