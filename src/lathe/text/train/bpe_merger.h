// The trainer's second half: from counted words to a list of merges. Internal to text/.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "lathe/text/probing_table.h"
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

enum class MergeScore : uint8_t {
  kFrequency,   // count(ab), as BPE and `tokenizers`' WordPiece
  kLikelihood,  // count(ab) / (count(a) · count(b)), as WordPiece was first described
                // (Schuster and Nakajima 2012): the pair that raises the likelihood most
};

struct MergeLimits {
  int64_t vocab_size = 0;       // highest number of tokens
  int64_t min_count = 1;        // rarer pairs are not merged
  int32_t longest = INT32_MAX;  // symbols of a token
  MergeScore score = MergeScore::kFrequency;
  int64_t first_threshold = 0;  // for tests; 0 chooses by the size of the text. Changes no merge.
};

class BpeMerger {
 public:
  // Tokens [0, lengths.size()) exist; lengths in symbols (0: special, never part of the text).
  BpeMerger(MergeText text, std::vector<int32_t> lengths, const MergeLimits& limits);

  struct Best {
    int32_t left, right;
    int64_t count;
  };
  // The pair with the highest score, or nullopt when none is frequent enough. Among equals, the one
  // with the smaller left id, then the smaller right id.
  std::optional<Best> best();
  // Merges the pair that best() returned into a new token and returns its id, one past the last. A
  // pair that is not merged does not come again unless all others are used up.
  int32_t merge(const Best& pair);

 private:
  struct Pair {
    int32_t left, right;
    int64_t count = 0;
    std::vector<uint32_t> positions;
  };
  static constexpr uint32_t kNoPair = UINT32_MAX;
  struct PairSlot {
    uint32_t pair = kNoPair;  // index into pairs_
    bool free() const { return pair == kNoPair; }
  };
  struct Candidate {
    double score;  // 0 where the count decides
    int64_t count;
    int32_t left, right;
    uint32_t pair;  // index into pairs_
    bool operator<(const Candidate& o) const {
      if (score != o.score) return score < o.score;
      if (count != o.count) return count < o.count;
      return left != o.left ? left > o.left : right > o.right;
    }
  };
  // What merging a pair does on one side of it: for every neighbouring token, how often it stood
  // there
  // (`moved`), and the places of the pair it now forms with the new token (`events`).
  struct Side {
    std::vector<int64_t> moved;                        // by token; zero where not touched
    std::vector<int32_t> touched;                      // tokens with an entry in moved
    std::vector<std::pair<int32_t, uint32_t>> events;  // neighbour, position; ascending positions
    void add(int32_t neighbour, int64_t count, size_t position) {
      if (moved[neighbour] == 0) touched.push_back(neighbour);
      moved[neighbour] += count;
      events.emplace_back(neighbour, static_cast<uint32_t>(position));
    }
    void clear();
  };
  struct Changes {       // of one thread
    int64_t merged = 0;  // how often the pair was
    Side left, right;
  };
  struct Tally {
    uint64_t key = 0;  // left + 1 and right, so never 0
    int64_t count = 0;
    uint32_t places = 0;
    bool free() const { return key == 0; }
  };
  class TallyTable;

  void rebuild();
  void apply(const Pair& pair, int32_t result, size_t begin, size_t end, Changes& changes);
  void apply_in_parallel(const Pair& pair, int32_t result);
  void subtract(int32_t left, int32_t right, int64_t count);
  void add_pairs(Side Changes::*side, const Pair& merged, int32_t result);
  uint32_t find(int32_t left, int32_t right) const;
  uint32_t find_or_insert(int32_t left, int32_t right);
  bool fits(int32_t left, int32_t right) const {
    return lengths_[left] + lengths_[right] <= limits_.longest;
  }
  bool by_likelihood() const { return limits_.score == MergeScore::kLikelihood; }
  Candidate candidate(uint32_t pair) const;
  void offer(uint32_t pair);
  void count_tokens();
  void move_counts(const Pair& merged, int32_t result);

  MergeText text_;
  std::vector<int32_t> lengths_;
  const MergeLimits limits_;
  int64_t threshold_;
  std::vector<Pair> pairs_;
  ProbingTable<PairSlot> table_;
  std::vector<Candidate> heap_;
  std::vector<Changes> changes_;   // one per thread
  std::vector<uint32_t> pair_of_;  // by neighbour, in use within add_pairs only
  // By token, kept for the likelihood only.
  std::vector<int64_t> count_of_;
  std::vector<std::vector<uint32_t>> pairs_of_;
};

}  // namespace lathe
