#include "lathe/text/library_class.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <iterator>

#include "lathe/base/error.h"

namespace lathe {
namespace {

struct Range {
  char32_t first, last;
};

// In ascending order.
template <size_t n>
bool holds(const Range (&ranges)[n], char32_t c) {
  const Range* at = std::upper_bound(std::begin(ranges), std::end(ranges), c,
                                     [](char32_t x, const Range& r) { return x < r.first; });
  return at != std::begin(ranges) && c <= std::prev(at)->last;
}

// \w of Unicode 16 that ICU's Unicode 15 has unassigned or classes otherwise.
constexpr Range kNewWordChars[] = {
    {0x0897, 0x0897},   {0x1C89, 0x1C8A},   {0xA7CB, 0xA7CD},   {0xA7DA, 0xA7DC},
    {0x105C0, 0x105F3}, {0x10D40, 0x10D65}, {0x10D69, 0x10D6D}, {0x10D6F, 0x10D85},
    {0x10EC2, 0x10EC4}, {0x10EFC, 0x10EFC}, {0x11380, 0x11389}, {0x1138B, 0x1138B},
    {0x1138E, 0x1138E}, {0x11390, 0x113B5}, {0x113B7, 0x113C0}, {0x113C2, 0x113C2},
    {0x113C5, 0x113C5}, {0x113C7, 0x113CA}, {0x113CC, 0x113D3}, {0x113E1, 0x113E2},
    {0x116D0, 0x116E3}, {0x11BC0, 0x11BE0}, {0x11BF0, 0x11BF9}, {0x11F5A, 0x11F5A},
    {0x13460, 0x143FA}, {0x16100, 0x16139}, {0x16D40, 0x16D6C}, {0x16D70, 0x16D79},
    {0x18CFF, 0x18CFF}, {0x1CCF0, 0x1CCF9}, {0x1E5D0, 0x1E5FA}, {0x2EBF0, 0x2EE5D}};

// N of Unicode 17 beyond Unicode 15.
constexpr Range kNewNumbers[] = {{0x10D40, 0x10D49}, {0x116D0, 0x116E3}, {0x11BF0, 0x11BF9},
                                 {0x11DE0, 0x11DE9}, {0x16130, 0x16139}, {0x16D70, 0x16D79},
                                 {0x16FF4, 0x16FF6}, {0x1CCF0, 0x1CCF9}, {0x1E5F1, 0x1E5FA}};

constexpr Range kIdeographs[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                                 {0x20000, 0x2A6DF}, {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF},
                                 {0x2F800, 0x2FA1F}};

// Capitals of Unicode 16 and 17, and how far away the small letter is.
struct NewCapitals {
  Range range;
  int32_t distance;
};
constexpr NewCapitals kNewCapitals[] = {
    {{0x1C89, 0x1C89}, 1},      {{0xA7CB, 0xA7CB}, 0x264 - 0xA7CB},
    {{0xA7CC, 0xA7CC}, 1},      {{0xA7CE, 0xA7CE}, 1},
    {{0xA7D2, 0xA7D2}, 1},      {{0xA7D4, 0xA7D4}, 1},
    {{0xA7DA, 0xA7DA}, 1},      {{0xA7DC, 0xA7DC}, 0x19B - 0xA7DC},
    {{0x10D50, 0x10D65}, 0x20}, {{0x16EA0, 0x16EB8}, 0x1B}};

bool is_word_char(UChar32 c, uint32_t category) {
  constexpr uint32_t kWord = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return (category & kWord) || u_hasBinaryProperty(c, UCHAR_ALPHABETIC) ||
         u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) || holds(kNewWordChars, c);
}

// U+166D and U+111C9 were punctuation in Unicode 8 and are not any more.
bool is_punctuation(UChar32 c, uint32_t category, int age) {
  if (c < 0x80) return category & (U_GC_P_MASK | U_GC_S_MASK);
  return ((category & U_GC_P_MASK) && age <= 8) || c == 0x166D || c == 0x111C9;
}

bool is_control(UChar32 c, uint32_t category, int age) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  return (category & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) && age <= 8;
}

// Categories that have changed since: U+1CF2 and U+1CF3 were marks, U+111C9 was none.
bool is_mark(UChar32 c, uint32_t category, int age) {
  if (c == 0x111C9) return false;
  return ((category & U_GC_M_MASK) && age <= 9) || c == 0x1CF2 || c == 0x1CF3;
}

// Likewise: U+1734 was Mn; U+1885, U+1886, U+A9BD and U+111C9 were not.
bool is_nonspacing(UChar32 c, uint32_t category, int age) {
  if (c == 0x1885 || c == 0x1886 || c == 0xA9BD || c == 0x111C9) return false;
  return ((category & U_GC_MN_MASK) && age <= 8) || c == 0x1734;
}

const icu::Normalizer2& form(const icu::Normalizer2* (*instance)(UErrorCode&)) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* made = instance(status);
  require(U_SUCCESS(status), ErrorKind::kIo, "normalizer", "ICU cannot load its forms: {}",
          u_errorName(status));
  return *made;
}

uint16_t classify(char32_t code_point, const icu::Normalizer2& nfkc, const icu::Normalizer2& nfkd) {
  const auto c = static_cast<UChar32>(code_point);
  const uint32_t category = U_GET_GC_MASK(c);
  UVersionInfo version;
  u_charAge(c, version);
  const int age = version[0];
  uint16_t bits = 0;
  if (is_word_char(c, category)) bits |= kWordChar;
  if ((category & U_GC_N_MASK) || holds(kNewNumbers, code_point)) bits |= kNumeric;
  if (u_hasBinaryProperty(c, UCHAR_WHITE_SPACE)) bits |= kWhiteSpace;
  if (is_punctuation(c, category, age)) bits |= kPunctuation;
  if (is_control(c, category, age)) bits |= kControl;
  if (is_mark(c, category, age)) bits |= kAnyMark;
  if (is_nonspacing(c, category, age)) bits |= kNonspacing;
  if (holds(kIdeographs, code_point)) bits |= kIdeograph;
  if (age > 9 && !(nfkc.isInert(c) && nfkd.isInert(c))) bits |= kAfterForms;
  return bits;
}

int32_t distance_to_lower(char32_t c) {
  if (c == 0x130) return 0;
  for (const NewCapitals& n : kNewCapitals)
    if (c >= n.range.first && c <= n.range.last) return n.distance;
  return static_cast<int32_t>(u_tolower(static_cast<UChar32>(c))) - static_cast<int32_t>(c);
}

}  // namespace

LibraryClasses::LibraryClasses()
    : table_([&nfkc = form(icu::Normalizer2::getNFKCInstance),
              &nfkd = form(icu::Normalizer2::getNFKDInstance)](char32_t c) {
        return classify(c, nfkc, nfkd);
      }) {}

const LibraryClasses& LibraryClasses::get() {
  static const LibraryClasses classes;
  return classes;
}

char32_t lower_case(char32_t c) {
  static const PagedTable<int32_t> distances(distance_to_lower);
  return c < 0x110000 ? static_cast<char32_t>(static_cast<int32_t>(c) + distances[c]) : c;
}

}  // namespace lathe
