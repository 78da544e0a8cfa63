// Counts the words of a corpus on all threads within a limit of memory. Internal to text/.
//
// Texts are gathered until there are stretch_bytes of them, which all threads count together: many
// small texts at a time, or a part of a large one. After round_bytes the limit is enforced. Where a
// stretch and a round end depends on the texts alone, never on the pieces they come in, so that even
// what is forgotten under the limit does not.
//
// Weights. A text of weight w counts w times. Counts are integers: every count is a multiple of
// 1 / unit(), where unit() is the smallest power of ten, up to a million, that makes all announced
// weights whole numbers (beyond that they are rounded). So sums are exact in any order, and a word
// may well count 5·10^9 times.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/train/train_options.h"
#include "lathe/text/train/word_cutter.h"

namespace lathe {

// How much text is counted at a time, and after how much the limit of memory is enforced.
struct CountSteps {
  size_t stretch_bytes = size_t{8} << 20, round_bytes = size_t{32} << 20;
  // Rounds that leave room for the rest: shorter ones when memory is short.
  static CountSteps for_memory(int64_t memory_bytes);
};

class CorpusCounts : public CorpusReceiver {
 public:
  static constexpr size_t kBlockBytes = size_t{1} << 20;
  static constexpr size_t kLongestWord = size_t{1} << 30;
  // What a distinct word costs the trainers: the word tables, and for every byte of it the token,
  // its place in the lists of two pairs or so, or in the suffix array.
  static constexpr int64_t kMemoryPerWord = 80, kMemoryPerByte = 11;

  // When the distinct words cost more than `memory_bytes` after a round, two thirds of that are
  // kept: all frequent words, and a sample of the rare ones that stands for all of them
  // (WordCounts::sample). So what rare words have in common, their endings and letters, keeps its
  // weight. A word that was forgotten and is met again counts from zero. `weights` are those that
  // set_weight() may be called with, 1 not among them. The cutter must outlive this. Throws kConfig
  // for a weight that is not above 0.
  CorpusCounts(const WordCutter& cutter, int64_t memory_bytes, std::span<const double> weights,
               CountSteps steps);

  void set_weight(double weight) override;
  // Throws kData when kLongestWord bytes have no place where they can be cut.
  void add(std::string_view piece) override;
  void end_text() override;
  // Counts what is still gathered. To be called once, behind the last text. Throws kData for texts
  // without a single word, and when none fits into the memory.
  void finish();

  const TrainStats& stats() const { return stats_; }
  int64_t unit() const { return unit_; }
  // What a word that was met once may count: unit(), or what it stands for in a sample.
  int64_t once() const { return once_; }
  int64_t distinct() const;
  int64_t cost() const;
  std::vector<WordCounts>& shards() { return shards_; }

 private:
  struct Weighted {
    std::string_view text;
    int64_t count;
  };
  using Block = std::vector<Weighted>;  // of texts, about kBlockBytes together
  struct TextEnd {
    size_t at;  // in gathered_
    int64_t count;
  };
  void count_stretch();
  size_t end_of_stretch() const;
  size_t last_cut(std::string_view text) const;
  std::vector<Block> blocks_of(size_t end) const;
  void count_blocks(const std::vector<Block>& blocks);
  void enforce_limit();

  const WordCutter& cutter_;
  int64_t memory_bytes_;
  int64_t unit_ = 1, once_ = 1, count_ = 1;  // count_: of a word in the present text
  double occurrences_ = 0;                   // the sum of all counts, also of forgotten words
  std::vector<WordCounts> shards_;
  TrainStats stats_;
  uint64_t draws_ = 0;  // how often words were forgotten

  const CountSteps steps_;
  size_t counted_ = 0;         // bytes of the round that are not gathered any more
  size_t next_stretch_;        // gathered bytes at which they are to be counted
  std::string gathered_;       // texts one behind the other
  std::vector<TextEnd> ends_;  // of the finished ones in gathered_
};

}  // namespace lathe
