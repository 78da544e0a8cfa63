#include "lathe/text/split/char_class.h"

#include <unicode/uchar.h>

#include <map>

namespace lathe {
namespace {

// Punctuation as of Unicode 8: the table that `tokenizers` consults for its Punctuation
// pre-tokeniser.
bool is_punctuation(UChar32 c, uint32_t category) {
  if (c < 0x80) return category & (U_GC_P_MASK | U_GC_S_MASK);
  if (c == 0x166D || c == 0x111C9) return true;  // punctuation then, not any more
  if (!(category & U_GC_P_MASK)) return false;
  UVersionInfo age;
  u_charAge(c, age);
  return age[0] <= 8;
}

uint8_t classify(UChar32 c) {
  const uint32_t category = U_GET_GC_MASK(c);
  uint8_t bits = 0;
  if (category & U_GC_L_MASK) bits |= kLetter;
  if (category & U_GC_N_MASK) bits |= kNumber;
  if (u_hasBinaryProperty(c, UCHAR_WHITE_SPACE)) bits |= kSpace;
  if (bits == 0) bits |= kOther;
  if (category & U_GC_M_MASK) bits |= kMark;
  if (category & (U_GC_LU_MASK | U_GC_LT_MASK)) bits |= kUpper;
  if (category & U_GC_LL_MASK) bits |= kLower;
  if (is_punctuation(c, category)) bits |= kPunct;
  return bits;
}

}  // namespace

CharClasses::CharClasses() {
  std::map<Page, uint16_t> known;
  for (uint32_t block = 0; block < page_of_.size(); ++block) {
    Page page;
    // Private-use planes and the unassigned ones are uniform: one look-up instead of 65,536.
    const bool uniform = block >= 0x400 && block < 0xE00;
    const bool private_use = block >= 0xF00;
    if (uniform || private_use) {
      page.fill(kOther);
    } else {
      for (uint32_t i = 0; i < 256; ++i) page[i] = classify(static_cast<UChar32>(block << 8 | i));
    }
    const auto [at, added] = known.try_emplace(page, static_cast<uint16_t>(pages_.size()));
    if (added) pages_.push_back(page);
    page_of_[block] = at->second;
  }
}

const CharClasses& CharClasses::get() {
  static const CharClasses classes;
  return classes;
}

}  // namespace lathe
