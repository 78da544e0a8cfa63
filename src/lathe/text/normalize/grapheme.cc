#include "lathe/text/normalize/grapheme.h"

#include <unicode/uchar.h>

#include "lathe/base/utf8.h"

namespace lathe {
namespace {

constexpr int kInvalid = -1;  // beside the values of ICU's UGraphemeClusterBreak

int break_class(char32_t c) {
  if (c == kInvalidByte) return kInvalid;
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_GRAPHEME_CLUSTER_BREAK);
}

bool is_pictograph(char32_t c) {
  return c != kInvalidByte &&
         u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_EXTENDED_PICTOGRAPHIC);
}

bool is_control(int c) { return c == U_GCB_CONTROL || c == U_GCB_CR || c == U_GCB_LF; }

// GB6 to GB8: the parts of a Hangul syllable.
bool joins_hangul(int left, int right) {
  switch (left) {
    case U_GCB_L:
      return right == U_GCB_L || right == U_GCB_V || right == U_GCB_LV || right == U_GCB_LVT;
    case U_GCB_LV:
    case U_GCB_V:
      return right == U_GCB_V || right == U_GCB_T;
    case U_GCB_LVT:
    case U_GCB_T:
      return right == U_GCB_T;
    default:
      return false;
  }
}

}  // namespace

const uint8_t* grapheme_end(const uint8_t* p, const uint8_t* end) {
  CodePoint c = decode_utf8(p, end);
  int left = break_class(c.value);
  bool pictograph = is_pictograph(c.value);  // a pictograph and nothing but Extend behind it
  bool joiner = false;                       // … and then ZWJ
  bool odd_flag = left == U_GCB_REGIONAL_INDICATOR;
  for (p += c.size; p < end; p += c.size) {
    c = decode_utf8(p, end);
    const int right = break_class(c.value);
    if (left == kInvalid || right == kInvalid) break;
    bool joins = false;
    if (is_control(left) || is_control(right)) {
      joins = left == U_GCB_CR && right == U_GCB_LF;  // GB3 to GB5
    } else if (right == U_GCB_EXTEND || right == U_GCB_ZWJ || right == U_GCB_SPACING_MARK ||
               left == U_GCB_PREPEND) {
      joins = true;  // GB9, GB9a, GB9b
    } else if (joiner && is_pictograph(c.value)) {
      joins = true;  // GB11
    } else if (odd_flag && right == U_GCB_REGIONAL_INDICATOR) {
      joins = true;  // GB12, GB13
    } else {
      joins = joins_hangul(left, right);
    }
    if (!joins) break;
    joiner = pictograph && right == U_GCB_ZWJ;
    pictograph = (pictograph && right == U_GCB_EXTEND) || is_pictograph(c.value);
    odd_flag = right == U_GCB_REGIONAL_INDICATOR && left != U_GCB_REGIONAL_INDICATOR;
    left = right;
  }
  return p;
}

}  // namespace lathe
