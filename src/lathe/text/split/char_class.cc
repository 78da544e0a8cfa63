#include "lathe/text/split/char_class.h"

#include <unicode/uchar.h>

namespace lathe {
namespace {

uint8_t classify(char32_t code_point) {
  const auto c = static_cast<UChar32>(code_point);
  const uint32_t category = U_GET_GC_MASK(c);
  uint8_t bits = 0;
  if (category & U_GC_L_MASK) bits |= kLetter;
  if (category & U_GC_N_MASK) bits |= kNumber;
  if (u_hasBinaryProperty(c, UCHAR_WHITE_SPACE)) bits |= kSpace;
  if (bits == 0) bits |= kOther;
  if (category & U_GC_M_MASK) bits |= kMark;
  if (category & (U_GC_LU_MASK | U_GC_LT_MASK)) bits |= kUpper;
  if (category & U_GC_LL_MASK) bits |= kLower;
  return bits;
}

}  // namespace

CharClasses::CharClasses() : table_(classify) {}

const CharClasses& CharClasses::get() {
  static const CharClasses classes;
  return classes;
}

}  // namespace lathe
