// The text that merging works on. Internal to text/.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "lathe/text/train/word_counts.h"

namespace lathe {

// Distinct words, one after the other, as tokens that grow in place.
//
// The symbols that merging begins with are bytes or characters. A token of n symbols occupies n
// entries: the first holds its id, the last holds -n (when n > 1),
// those between are negative. So both neighbours of a token are found in one step, and a position
// that is no longer the start of a token is recognised. kEnd stands before, between and behind the
// words.
class MergeText {
 public:
  static constexpr int32_t kEnd = INT32_MIN;

  // Appends the symbols of a word; kEnd parts what is never merged.
  using Symbols = std::function<void(std::string_view word, std::vector<int32_t>& out)>;

  // Takes the words out of the shards. No word may have more symbols than bytes.
  MergeText(std::vector<WordCounts>& shards, const Symbols& symbols);

  int64_t positions() const { return static_cast<int64_t>(tokens_.size()); }
  int32_t at(size_t i) const { return tokens_[i]; }
  int64_t words() const { return static_cast<int64_t>(counts_.size()); }
  int64_t count_of_word(size_t word) const { return counts_[word]; }
  size_t word_begin(size_t word) const { return begins_[word]; }
  size_t word_end(size_t word) const { return begins_[word + 1] - 1; }  // the kEnd behind it

  size_t word_at(size_t i) const {
    size_t word = word_of_block_[i >> kBlockBits];
    while (begins_[word + 1] <= i) ++word;
    return word;
  }
  // Fetches the token at `i`, and where its word is found; then the word.
  void prefetch(size_t i) const {
    __builtin_prefetch(&tokens_[i], 1);
    __builtin_prefetch(&word_of_block_[i >> kBlockBits]);
  }
  void prefetch_word(size_t i) const {
    const size_t word = word_of_block_[i >> kBlockBits];
    __builtin_prefetch(&begins_[word]);
    __builtin_prefetch(&counts_[word]);
  }
  // Start of the token before the one at `i`, if there is one in this word.
  std::optional<size_t> previous(size_t i) const {
    const int32_t before = tokens_[i - 1];
    if (before == kEnd) return std::nullopt;
    return before >= 0 ? i - 1 : i - static_cast<size_t>(-before);
  }
  // Makes the tokens at `left` and `right`, which adjoin, one token of `length` entries.
  void join(size_t left, size_t right, size_t length, int32_t id) {
    tokens_[right] = -1;
    tokens_[left + length - 1] = -static_cast<int32_t>(length);
    tokens_[left] = id;
  }

 private:
  void add_word(std::vector<int32_t>::const_iterator begin,
                std::vector<int32_t>::const_iterator end, int64_t count);
  static constexpr int kBlockBits = 5;
  std::vector<int32_t> tokens_;
  std::vector<uint32_t> begins_;  // words() + 1 entries
  std::vector<int64_t> counts_;
  std::vector<uint32_t> word_of_block_;
};

}  // namespace lathe
