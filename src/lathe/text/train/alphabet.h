// The characters of counted words, and which of them get a token of their own. Internal to text/.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "lathe/text/train/word_counts.h"

namespace lathe {

// The most frequent characters, the least number of them that make up at least `coverage` of all
// (as `sentencepiece` chooses). Bytes that are not UTF-8 and U+0000 are never among them.
class Alphabet {
 public:
  struct Character {
    char32_t value;
    int64_t count;
  };
  Alphabet(const std::vector<WordCounts>& words, double coverage);

  // Most frequent first; among equals the lower code point.
  const std::vector<Character>& characters() const { return characters_; }
  int64_t distinct() const { return distinct_; }  // with those that are not covered
  // Position in characters(), or -1.
  int32_t index_of(char32_t c) const {
    if (c < basic_.size()) return basic_[c];
    const auto found = others_.find(c);
    return found == others_.end() ? -1 : found->second;
  }

 private:
  std::vector<Character> characters_;
  int64_t distinct_ = 0;
  std::vector<int32_t> basic_;  // by code point below U+10000
  std::unordered_map<char32_t, int32_t> others_;
};

}  // namespace lathe
