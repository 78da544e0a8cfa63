// SentencePiece's compiled character maps (`precompiled_charsmap`): rules that replace a string of
// characters by another one, leftmost and longest first.
//
// A map is bytes: the size of a trie, its units (double_array.h, little-endian), and a pool of
// replacements that each end in a zero byte. The value of a key is where its replacement begins.
//
// Immutable, hence thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/base/utf8.h"
#include "lathe/text/double_array.h"

namespace lathe {

class CharsMap {
 public:
  // The replacements of strings of characters.
  using Rules = std::map<std::u32string, std::u32string>;

  // Replaces nothing.
  CharsMap() = default;
  // Reads a compiled map; no bytes at all are a map without rules. Throws kFormat, naming `origin`,
  // for bytes that are none.
  static CharsMap parse(std::string_view compiled, std::string_view origin);
  // Throws kFormat for a rule without a left side and for code points that are none (0, surrogates,
  // above U+10FFFF).
  static CharsMap build(const Rules& rules);

  bool empty() const { return trie_.empty(); }
  // What parse() reads.
  std::string compiled() const;

  struct Match {
    size_t length = 0;  // in the text; 0: there is no rule
    std::string_view replacement;
  };
  // The longest and the shortest rule that [p, end) begins with.
  Match longest(const uint8_t* p, const uint8_t* end) const;
  Match shortest(const uint8_t* p, const uint8_t* end) const;

  // False if no rule applies to a text that begins with the character `c`, which [p, end)
  // follows. Fast.
  bool may_apply(char32_t c, const uint8_t* p, const uint8_t* end) const {
    if (empty()) return false;
    return c >= kTable || has(ends_, c) || (p < end && follows_[*p] && has(goes_on_, c));
  }
  // Whether a rule begins with the ASCII character `c` and is complete with it, whether one goes on,
  // and whether some rule goes on with the byte `b` behind some character.
  bool replaces(char c) const { return !empty() && has(ends_, static_cast<uint8_t>(c)); }
  bool goes_on(char c) const { return !empty() && has(goes_on_, static_cast<uint8_t>(c)); }
  bool follows(uint8_t b) const { return follows_[b]; }

 private:
  static constexpr char32_t kTable = 0x10000;
  static bool has(const std::vector<uint64_t>& bits, char32_t c) {
    return (bits[c >> 6] >> (c & 63) & 1) != 0;
  }

  CharsMap(DoubleArray trie, std::string pool);
  void look_at(char32_t c);  // fills the tables below
  // The replacement of a key's value; length 0 if it lies outside of the pool, which a damaged map
  // may say.
  Match match(size_t length, int32_t value) const;

  DoubleArray trie_;
  std::string pool_;  // ends in a zero byte
  // A bit for each code point below kTable: whether some rule is complete with a byte of it, and
  // whether some goes on behind it.
  std::vector<uint64_t> ends_, goes_on_;
  std::array<bool, 256> follows_{};
};

}  // namespace lathe
