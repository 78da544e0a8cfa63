// Distinct byte strings with 64-bit counts: the trainer's view of a corpus. Internal to text/.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/text/added_tokens.h"
#include "lathe/text/probing_table.h"
#include "lathe/text/split/patterns.h"
#include "lathe/text/text_receiver.h"

namespace lathe {

class WordCounts {
 public:
  struct Entry {
    const char* data = nullptr;
    int64_t count = 0;
    uint32_t length = 0;
    uint32_t hash = 0;
    std::string_view word() const { return {data, length}; }
    bool free() const { return data == nullptr; }
  };

  WordCounts();
  void add(std::string_view word, uint64_t hash, int64_t count);
  void add_all(const WordCounts& other);
  void clear();

  // Bytes of the distinct words plus one for each.
  int64_t cost() const { return cost_; }
  int64_t size() const { return static_cast<int64_t>(used_); }
  template <class F>
  void for_each(F&& f) const {
    for (const Entry& e : table_.slots())
      if (!e.free()) f(e);
  }
  // Keeps the words with a count above `k`; returns the sum of the counts given up.
  int64_t forget(int64_t k);

 private:
  char* store(std::string_view word);
  ProbingTable<Entry> table_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  size_t chunk_left_ = 0;
  char* chunk_at_ = nullptr;
  size_t used_ = 0;
  int64_t cost_ = 0;
};

// Counts of a corpus, in shards by hash so that threads can add to it side by side.
//
// Texts are gathered until there are kRoundBytes of them, which all threads count together: many
// small texts at a time, or a part of a large one. Where a round ends depends on the texts alone,
// never on the pieces they come in, so that even what is forgotten under the limit does not.
class CorpusCounts : public TextReceiver {
 public:
  static constexpr int kShards = 16;
  static constexpr size_t kRoundBytes = size_t{32} << 20;
  static constexpr size_t kBlockBytes = size_t{1} << 20;
  static constexpr size_t kLongestWord = size_t{1} << 30;

  // `limit`: the highest cost() that is kept, see BpeTrainOptions::memory_bytes. `round_bytes` is
  // smaller in tests.
  CorpusCounts(Pattern pattern, std::span<const std::string> special_tokens, int64_t limit,
               size_t round_bytes = kRoundBytes);

  // Throws kData when kLongestWord bytes have no place where they can be cut.
  void add(std::string_view piece) override;
  void end_text() override;
  // Counts what is still gathered. To be called once, behind the last text.
  void finish();

  int64_t bytes() const { return bytes_; }
  int64_t words() const { return words_; }
  int64_t forgotten() const { return forgotten_; }
  int64_t distinct() const;
  int64_t cost() const;
  std::vector<WordCounts>& shards() { return shards_; }

  // The first position at or after `from` where the text can be cut without changing any word;
  // exposed for tests.
  size_t safe_cut(std::string_view text, size_t from) const;

 private:
  using Block = std::vector<std::string_view>;  // of texts, about kBlockBytes together
  void count_round();
  size_t last_cut(std::string_view text) const;
  std::vector<Block> blocks_of(size_t end) const;
  void count_blocks(const std::vector<Block>& blocks);
  void count_text(std::string_view text, std::vector<WordCounts>& into, int64_t* words) const;
  void enforce_limit();

  PieceScanner next_;
  AddedTokenMatcher specials_;
  size_t longest_special_ = 0;
  int64_t limit_;
  std::vector<WordCounts> shards_;
  int64_t bytes_ = 0, words_ = 0, forgotten_ = 0;

  const size_t round_bytes_;
  size_t next_round_;         // gathered bytes at which a round is due
  std::string gathered_;      // the texts of the round, one behind the other
  std::vector<size_t> ends_;  // of the finished ones in gathered_
};

}  // namespace lathe
