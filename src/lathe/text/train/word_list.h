// The distinct words of a Unigram corpus, one behind the other. Internal to text/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/train/alphabet.h"
#include "lathe/text/train/word_counts.h"

namespace lathe {

// Words of covered characters only: where a character has no token of its own, a word is cut, since
// no piece holds it. A zero byte stands before, between and behind the words. Long words are cut
// into kLongestWord bytes, which bounds what one thread has to hold; text has none.
class WordList {
 public:
  static constexpr size_t kLongestWord = 4096;

  // Takes the words out of the shards.
  WordList(std::vector<WordCounts>& shards, const Alphabet& alphabet);

  int64_t size() const { return static_cast<int64_t>(counts_.size()); }
  std::string_view word(int64_t i) const {
    return std::string_view(text_).substr(begins_[i], begins_[i + 1] - 1 - begins_[i]);
  }
  int64_t count(int64_t i) const { return counts_[i]; }
  const std::string& text() const { return text_; }
  // The word that holds the byte at `at`.
  int64_t word_at(size_t at) const {
    int64_t word = word_of_block_[at >> kBlockBits];
    while (begins_[word + 1] <= at) ++word;
    return word;
  }

 private:
  static constexpr int kBlockBits = 4;
  void add(std::string_view word, int64_t count);
  void add_covered(std::string_view word, int64_t count, const Alphabet& alphabet);

  std::string text_;
  std::vector<uint32_t> begins_;  // size() + 1
  std::vector<int64_t> counts_;
  std::vector<uint32_t> word_of_block_;
};

}  // namespace lathe
