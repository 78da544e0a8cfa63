// The merges of one short piece, lowest rank first. Internal to text/.
//
// Nothing here branches on what the pairs are: which of them merges is what a processor cannot
// guess, and a wrong guess costs more than all the rest of a merge.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lathe/text/model/pair_table.h"

namespace lathe {

struct Merge {
  int32_t left, right, result;
};

// The place of the first merge that makes `id`.
inline std::optional<int64_t> first_merge(std::span<const Merge> merges, int32_t id) {
  const auto made = std::ranges::find(merges, id, &Merge::result);
  if (made == merges.end()) return std::nullopt;
  return made - merges.begin();
}

class ShortMerge {
 public:
  static constexpr int kPlaceBits = 7;
  static constexpr size_t kMost = size_t{1} << kPlaceBits;  // tokens

  explicit ShortMerge(const PairTable& pairs) : pairs_(pairs) {}

  // Begins with `ids`, 1 to kMost of them. ranks[i], unless negative, is that of the merge of the
  // ids i - 1 and i.
  void start(std::span<const int32_t> ids, const int32_t* ranks);
  // Whether there is a merge left.
  bool open() const { return tree_[1] < kDead; }
  // Makes it; `result_of(rank)` is the token that it makes.
  template <class ResultOf>
  void step(ResultOf&& result_of) {
    const auto at = static_cast<size_t>(tree_[1]) & (kMost - 1);
    const size_t gone = next_[at], after = next_[gone];
    last_ = {ids_[at], ids_[gone], result_of(tree_[1] >> kPlaceBits)};
    ids_[at] = last_.result;
    next_[at] = static_cast<uint8_t>(after);
    previous_[after] = static_cast<uint8_t>(at);
    // Looked up before any walk: the two wait for memory together. Where nothing stands before,
    // what is gone is set twice.
    const size_t before = at > 0 ? previous_[at] : gone;
    const int32_t with_after = after < count_ ? key(at, after) : kDead;
    const int32_t with_before = at > 0 ? key(before, at) : kDead;
    set(gone, kDead);
    set(at, with_after);
    set(before, with_before);
  }
  // Calls f(id) for the tokens, in order.
  template <class F>
  void for_each(F&& f) const {
    for (size_t i = 0; i < count_; i = next_[i]) f(ids_[i]);
  }
  // The last merge made since start(), if there was one.
  const Merge& last() const { return last_; }

 private:
  static constexpr int32_t kDead = PairTable::kNoRank << kPlaceBits;
  static_assert((int64_t{PairTable::kNoRank} + 1) << kPlaceBits <= int64_t{1} << 31,
                "rank and place share 31 bits");

  static int32_t key_of(int32_t rank, size_t left) {
    return rank << kPlaceBits | static_cast<int32_t>(left);
  }
  int32_t key(size_t left, size_t right) const {
    return key_of(pairs_.rank(ids_[left], ids_[right]), left);
  }
  void set(size_t i, int32_t value) {
    size_t node = leaves_ + i;
    tree_[node] = value;
    for (; node > 1; node /= 2) tree_[node / 2] = value = std::min(value, tree_[node ^ 1]);
  }

  const PairTable& pairs_;
  size_t count_ = 0, leaves_ = 1;
  Merge last_{-1, -1, -1};
  int32_t ids_[kMost];
  // A tournament: leaf `leaves_ + i` holds rank and place of the pair that begins at i (kDead or
  // more: no merge, or no token), every node above the smaller of its two.
  int32_t tree_[2 * kMost];
  uint8_t next_[kMost + 1], previous_[kMost + 1];
};

inline void ShortMerge::start(std::span<const int32_t> ids, const int32_t* ranks) {
  count_ = ids.size();
  leaves_ = std::bit_ceil(count_);
  std::ranges::copy(ids, ids_);
  tree_[leaves_ + count_ - 1] = kDead;
  for (size_t i = 0; i + 1 < count_; ++i)
    tree_[leaves_ + i] = ranks[i + 1] >= 0 ? key_of(ranks[i + 1], i) : key(i, i + 1);
  for (size_t i = 0; i < count_; ++i) {
    next_[i] = static_cast<uint8_t>(i + 1);
    previous_[i + 1] = static_cast<uint8_t>(i);
  }
  std::fill(tree_ + leaves_ + count_, tree_ + 2 * leaves_, kDead);
  if (leaves_ == 1) tree_[1] = kDead;
  for (size_t node = leaves_ - 1; node > 0; --node)
    tree_[node] = std::min(tree_[2 * node], tree_[2 * node + 1]);
}

}  // namespace lathe
