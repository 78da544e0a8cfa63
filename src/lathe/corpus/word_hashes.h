// Words of a text as numbers, for comparing texts: what is a duplicate, and what has been seen elsewhere.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace lathe {

// A hash for each word, in order. A word is a run of letters and digits (every character beyond ASCII that is
// no punctuation counts as one), with ASCII letters in lower case; of scripts without spaces (Han, kana, Thai)
// every character is a word. Everything else only ends a word.
std::vector<uint64_t> word_hashes(std::string_view text);

// A hash for each run of `n` words, in order; none of a text with fewer.
std::vector<uint64_t> ngram_hashes(std::span<const uint64_t> words, size_t n);

// A number that looks random, the same for the same x.
constexpr uint64_t mixed(uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

}  // namespace lathe
