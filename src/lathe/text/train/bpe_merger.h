// The trainer's second half: from counted words to a list of merges. Internal to text/.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "lathe/text/probing_table.h"
#include "lathe/text/train/merge_text.h"
#include "lathe/text/train/pair_tally.h"

namespace lathe {

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
    uint32_t tag = 0;         // of the pair's hash
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

  void rebuild();
  void apply(const Pair& pair, int32_t result, size_t begin, size_t end, Changes& changes);
  void apply_in_parallel(const Pair& pair, int32_t result);
  void subtract(int32_t left, int32_t right, int64_t count);
  void add_pairs(Side Changes::*side, const Pair& merged, int32_t result);
  uint32_t find(int32_t left, int32_t right) const;
  uint32_t find_or_insert(int32_t left, int32_t right);
  PairedText paired_text() const { return {text_, lengths_, limits_.longest}; }
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
