// Sets of characters, as ranges of code points, and how they look in UTF-8.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace lathe::constraint {

struct CodeRange {
  char32_t low, high;  // inclusive
  friend bool operator==(const CodeRange&, const CodeRange&) = default;
};

// A value. Surrogates are never in a set.
class CharSet {
 public:
  CharSet() = default;
  CharSet(std::initializer_list<CodeRange> ranges);
  static CharSet of(std::string_view utf8);  // the characters of a text
  static const CharSet& all();

  void add(CodeRange range);
  void add(const CharSet& other);
  CharSet without(const CharSet& other) const;
  CharSet with(const CharSet& other) const;  // what both have
  CharSet complement() const { return all().without(*this); }

  bool empty() const { return ranges_.empty(); }
  bool has(char32_t c) const;
  const std::vector<CodeRange>& ranges() const { return ranges_; }  // ascending, apart

 private:
  void tidy();
  std::vector<CodeRange> ranges_;
};

struct ByteRange {
  uint8_t low, high;  // inclusive
  friend auto operator<=>(const ByteRange&, const ByteRange&) = default;
};
using ByteRanges = std::vector<ByteRange>;  // one range for each byte of a sequence

// The UTF-8 forms of a set: sequences that do not overlap and together give every character once.
std::vector<ByteRanges> utf8_sequences(const CharSet& set);

// The texts of `digits` digits of a base of which each is a number from `low` to `high`: sequences of
// ranges of digits, which do not overlap. Two examples: 7-12 in two decimal digits is 0[7-9], 1[0-2].
std::vector<ByteRanges> digit_sequences(uint64_t low, uint64_t high, int digits, uint32_t base);

}  // namespace lathe::constraint
