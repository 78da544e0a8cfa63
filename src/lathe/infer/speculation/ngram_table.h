// N-grams of all texts of an engine: what followed the same few tokens when they were last seen, in
// this text or in an earlier one (the second half of Yang et al. 2023, arXiv:2304.04487, and the
// n-gram pool of Fu et al. 2024, arXiv:2402.02057).
#pragma once

#include <map>

#include "lathe/infer/speculation/drafter.h"

namespace lathe {

// A table of fixed size, in which newer n-grams replace older ones.
class NgramTable : public Drafter {
 public:
  // N-grams of `shortest` to `longest` tokens before the next; longer ones are believed first.
  // Errors: kConfig for numbers that cannot work.
  explicit NgramTable(int64_t shortest = 2, int64_t longest = 4, size_t entries = 1 << 18);
  void guess(std::span<Draft> drafts) override;
  void forget(int64_t sequence, std::span<const int32_t> text) override;

 private:
  struct Entry {
    uint64_t key = 0;  // 0: none
    int32_t next = 0;
  };
  static uint64_t key_of(std::span<const int32_t> tokens);
  void learn(int64_t sequence, std::span<const int32_t> text);
  const Entry* find(std::span<const int32_t> text) const;

  int64_t shortest_, longest_;
  std::vector<Entry> entries_;
  std::map<int64_t, int64_t> learned_;  // tokens of each sequence
};

}  // namespace lathe
