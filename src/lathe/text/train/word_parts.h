// Where a piece may not go on: the borders that `sentencepiece`'s trainers put into words.
//
// No piece has letters of two scripts, so "▁abc中文" is learned as "▁abc" and "中文". Hiragana,
// Katakana and the long vowel mark count as Han, marks of no script of their own go with what they
// follow, and "▁" goes with what follows it (Unicode Standard Annex #24). Text between borders is
// called a part. A part is what is counted, so equal parts of different words are one.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "lathe/base/utf8.h"

namespace lathe {

// How decimal digits are kept together: as any other character, each alone, or in groups of three
// counted from the left or from the right of a number.
enum class DigitGroups : uint8_t { kNone, kSingle, kThrees, kThreesRight };

struct PartRules {
  bool split_scripts = true;
  DigitGroups digits = DigitGroups::kNone;
  bool each_character = false;  // for models whose tokens are characters
  bool cut_nothing() const {
    return !split_scripts && !each_character && digits == DigitGroups::kNone;
  }
};

inline constexpr char32_t kWordBegin = 0x2581;  // "▁", what a space is written as

// Cuts words into parts, on one thread.
class PartScanner {
 public:
  explicit PartScanner(PartRules rules);
  // The ends of the parts of `word`, in bytes; valid until the next call.
  const std::vector<size_t>& ends(std::string_view word);

 private:
  const std::vector<size_t>& ends_of_characters(std::string_view word);
  void group_digits(std::string_view word);

  PartRules rules_;
  std::vector<size_t> ends_, grouped_;
};

}  // namespace lathe
