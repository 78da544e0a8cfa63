// Distinct byte strings with 64-bit counts. Internal to text/.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "lathe/text/probing_table.h"

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
  int64_t positions() const { return positions_; }
  int64_t size() const { return static_cast<int64_t>(used_); }
  template <class F>
  void for_each(F&& f) const {
    for (const Entry& e : table_.slots())
      if (!e.free()) f(e);
  }
  // Keeps the words with a count of at least `threshold`, and of the others each with probability
  // count / threshold, with the threshold as its new count: so that the count of any set of words
  // is right in expectation (threshold sampling: Duffield, Lund and Thorup 2005). What is drawn
  // depends on the word and `draw` alone. Returns how many words are gone.
  int64_t sample(int64_t threshold, uint64_t draw);

 private:
  char* store(std::string_view word);
  ProbingTable<Entry> table_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  size_t chunk_left_ = 0;
  char* chunk_at_ = nullptr;
  size_t used_ = 0;
  int64_t positions_ = 0;
};

}  // namespace lathe
