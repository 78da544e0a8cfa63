#include "lathe/text/train/word_parts.h"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <algorithm>

namespace lathe {
namespace {

constexpr uint8_t kAnyScript = 255;
constexpr char32_t kLongVowelMark = 0x30FC;

uint8_t script_of(char32_t c) {
  if (c == kLongVowelMark) return USCRIPT_HAN;
  if (c > 0x10FFFF) return USCRIPT_COMMON;
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &status);
  if (script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA) return USCRIPT_HAN;
  return static_cast<uint8_t>(std::clamp<int>(script, 0, kAnyScript - 1));
}

// By code point, for the characters below U+10000; the others are asked for one by one.
const std::vector<uint8_t>& script_table() {
  static const std::vector<uint8_t> table = [] {
    std::vector<uint8_t> scripts(0x10000);
    for (char32_t c = 0; c < scripts.size(); ++c) scripts[c] = script_of(c);
    return scripts;
  }();
  return table;
}

bool is_digit(char32_t c) {
  return c < 0x80 ? c >= '0' && c <= '9' : c <= 0x10FFFF && u_isdigit(static_cast<UChar32>(c));
}

}  // namespace

PartScanner::PartScanner(PartRules rules) : rules_(rules) {}

const std::vector<size_t>& PartScanner::ends(std::string_view word) {
  ends_.clear();
  if (rules_.each_character) return ends_of_characters(word);
  const std::vector<uint8_t>& scripts = script_table();
  uint8_t previous = kAnyScript;
  const uint8_t *begin = as_bytes(word), *end = begin + word.size();
  for (const uint8_t* p = begin; p < end && rules_.split_scripts;) {
    const CodePoint c = decode_utf8(p, end);
    if (c.value != kWordBegin) {
      uint8_t script = c.value < scripts.size() ? scripts[c.value] : script_of(c.value);
      if (script == USCRIPT_INHERITED) script = previous;
      if (previous != kAnyScript && script != previous)
        ends_.push_back(static_cast<size_t>(p - begin));
      previous = script;
    }
    p += c.size;
  }
  ends_.push_back(word.size());
  if (rules_.digits != DigitGroups::kNone) group_digits(word);
  return ends_;
}

const std::vector<size_t>& PartScanner::ends_of_characters(std::string_view word) {
  const uint8_t *begin = as_bytes(word), *end = begin + word.size();
  for (const uint8_t* p = begin; p < end;) {
    p += decode_utf8(p, end).size;
    ends_.push_back(static_cast<size_t>(p - begin));
  }
  return ends_;
}

// Puts further ends before, behind and into every number.
void PartScanner::group_digits(std::string_view word) {
  const uint8_t *begin = as_bytes(word), *end = begin + word.size();
  grouped_.clear();
  std::vector<size_t> digits;  // where the digits of a number begin
  const auto close = [&](size_t number_end) {
    const size_t n = digits.size();
    const size_t group = rules_.digits == DigitGroups::kSingle ? 1 : 3;
    const size_t first = rules_.digits == DigitGroups::kThreesRight ? n % group : 0;
    for (size_t i = 0; i < n; ++i)
      if (i == 0 || i % group == first) grouped_.push_back(digits[i]);
    if (n > 0) grouped_.push_back(number_end);
    digits.clear();
  };
  for (const uint8_t* p = begin; p < end;) {
    const CodePoint c = decode_utf8(p, end);
    const auto at = static_cast<size_t>(p - begin);
    if (is_digit(c.value)) {
      digits.push_back(at);
    } else {
      close(at);
    }
    p += c.size;
  }
  close(word.size());
  ends_.insert(ends_.end(), grouped_.begin(), grouped_.end());
  std::sort(ends_.begin(), ends_.end());
  ends_.erase(std::unique(ends_.begin(), ends_.end()), ends_.end());
  if (ends_.front() == 0) ends_.erase(ends_.begin());
}

}  // namespace lathe
