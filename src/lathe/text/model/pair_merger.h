// Merges adjacent ids, lowest rank first and leftmost first, until no pair has a merge: the inner
// part of byte-pair encoding, whatever its symbols are. Internal to text/.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/text/model/pair_table.h"
#include "lathe/text/model/short_merge.h"

namespace lathe {

class PairMerger {
 public:
  PairMerger() = default;
  // `ranks[place]` is when the merge at this place is made, at most PairTable::kMaxRank; merges of
  // one rank have one result, and the leftmost of them is made first. Of a pair listed twice the
  // later merge counts. With `order`, by rank, results of different ranks may come at the same
  // time, and then the leftmost is made: slower.
  PairMerger(std::span<const Merge> merges, std::span<const int32_t> ranks,
             std::vector<int32_t> order = {});

  const PairTable& pairs() const { return pairs_; }
  // Forgets all merges but these, which must be some of them.
  void keep(PairTable some) { pairs_ = std::move(some); }
  int32_t result_of(int32_t rank) const {
    return first_result_ ? *first_result_ + rank : results_[static_cast<size_t>(rank)];
  }

  // Buffers reused between calls; one per thread.
  struct Scratch {
    std::vector<int32_t> ids, ranks;
    std::vector<uint32_t> previous, next;
    std::vector<uint64_t> heap;
    Merge last{-1, -1, -1};  // the last merge that was made
    // For `n` ids.
    void make_room(size_t n);
  };
  static constexpr int32_t kUnknownRank = -1;  // in Scratch::ranks: to be looked up
  // Appends what becomes of scratch.ids[0, n). scratch.ranks[i], unless kUnknownRank, is the rank
  // of the ids i - 1 and i. O(n log n); fast up to ShortMerge::kMost ids.
  void merge(size_t n, Scratch& scratch, std::vector<int32_t>& out) const;
  // The same where each time that a merge comes first it is passed over with probability
  // `dropout`, until another one has been made (Provilkov et al. 2020, arXiv:1910.13267).
  void merge_with_dropout(size_t n, double dropout, const Rng& rng, Scratch& scratch,
                          std::vector<int32_t>& out) const;

 private:
  void merge_short(size_t n, Scratch& s, std::vector<int32_t>& out) const;
  void start_heap(size_t n, Scratch& s) const;
  void refresh(uint32_t at, Scratch& s) const;
  void make(uint32_t at, Scratch& s) const;
  uint64_t key(int32_t rank, uint32_t at) const {
    const int32_t order = order_.empty() ? rank : order_[static_cast<size_t>(rank)];
    return uint64_t{static_cast<uint32_t>(order)} << 32 | at;
  }

  PairTable pairs_;
  std::vector<int32_t> results_;         // by rank, unless they are numbered by it
  std::optional<int32_t> first_result_;  // where results are numbered by rank: that of rank 0
  std::vector<int32_t> order_;           // by rank; empty where the ranks are the order
};

}  // namespace lathe
