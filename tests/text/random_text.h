// Random text that is unkind to tokenizers: runs of one class, class changes, and rare characters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/base/utf8.h"

namespace lathe::testing {

// Counts through one stream of random numbers.
class Dice {
 public:
  explicit Dice(uint64_t seed) : rng_(Rng(seed).fork("dice")) {}
  uint64_t below(uint64_t n) { return rng_.below(next_++, n); }

 private:
  Rng rng_;
  uint64_t next_ = 0;
};

// A code point, assigned in Unicode 14 (which all libraries in use know) or unassigned in all of
// them.
inline char32_t random_code_point(Dice& dice) {
  static const std::u32string kInteresting =
      U" \t\n\r\v\f\u0085\u00a0\u1680\u180e\u2003\u2028\u2029\u202f\u3000\u200b\ufeff'"
      U"’sStTmMdDlLvVrReE"
      U"ſK/.,!?-_\"$€+<|>019²½Ⅷ①٣aAzZéÉǅʰªºßſıİΣσςбБאשعहि\u0301\u0308\u20dd"
      U"中文字日本語カナ한글ไทย👩\u200d👧🇩🇪𝒜𝟘\ue000\ufffd";
  switch (dice.below(8)) {
    case 0:
    case 1:
      return static_cast<char32_t>(0x20 + dice.below(0x5F));
    case 2:
      return static_cast<char32_t>(0x80 + dice.below(0x500));
    case 3:
      return static_cast<char32_t>(0x4E00 + dice.below(0x5000));
    default:
      return kInteresting[dice.below(kInteresting.size())];
  }
}

inline std::string random_text(Dice& dice, size_t code_points) {
  std::string text;
  while (code_points > 0) {
    const char32_t c = random_code_point(dice);
    const size_t run = dice.below(6) == 0 ? 1 + dice.below(5) : 1;
    for (size_t i = 0; i < run && code_points > 0; ++i, --code_points) append_utf8(text, c);
  }
  return text;
}

inline std::string random_bytes(Dice& dice, size_t n) {
  std::string bytes(n, '\0');
  for (char& b : bytes) b = static_cast<char>(dice.below(256));
  return bytes;
}

}  // namespace lathe::testing
