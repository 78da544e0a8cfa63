// Short lists are merged by a tournament (short_merge.h). For long ones the pairs are kept in a
// heap; an entry whose pair has changed since it was pushed is recognised by its rank and dropped.
#include "lathe/text/model/pair_merger.h"

#include <algorithm>
#include <functional>

namespace lathe {
namespace {

constexpr uint32_t kNone = 0xFFFFFFFF;

}  // namespace

PairMerger::PairMerger(std::span<const Merge> merges, std::span<const int32_t> ranks,
                       std::vector<int32_t> order)
    : pairs_(merges.size()), order_(std::move(order)) {
  bool numbered = !merges.empty();
  int32_t highest = -1;
  for (size_t place = 0; place < merges.size(); ++place) {
    const Merge& m = merges[place];
    pairs_.set(m.left, m.right, ranks[place]);
    numbered = numbered && m.result - ranks[place] == merges[0].result - ranks[0];
    highest = std::max(highest, ranks[place]);
  }
  if (numbered) {
    first_result_ = merges[0].result - ranks[0];
    return;
  }
  results_.resize(static_cast<size_t>(highest) + 1);
  for (size_t place = 0; place < merges.size(); ++place)
    results_[static_cast<size_t>(ranks[place])] = merges[place].result;
}

void PairMerger::Scratch::make_room(size_t n) {
  if (ids.size() >= n) return;
  ids.resize(n);
  ranks.resize(n);
}

void PairMerger::merge(size_t n, Scratch& s, std::vector<int32_t>& out) const {
  if (n == 0) return;
  if (n <= ShortMerge::kMost && order_.empty()) return merge_short(n, s, out);
  start_heap(n, s);
  while (!s.heap.empty()) {
    std::pop_heap(s.heap.begin(), s.heap.end(), std::greater<>());
    const uint64_t top = s.heap.back();
    const auto at = static_cast<uint32_t>(top);
    s.heap.pop_back();
    if (s.ranks[at] != PairTable::kNoRank && key(s.ranks[at], at) == top) make(at, s);
  }
  for (uint32_t i = 0; i != kNone; i = s.next[i]) out.push_back(s.ids[i]);
}

void PairMerger::merge_with_dropout(size_t n, double dropout, const Rng& rng, Scratch& s,
                                    std::vector<int32_t>& out) const {
  if (n == 0) return;
  start_heap(n, s);
  uint64_t draws = 0;
  std::vector<uint64_t> passed_over;
  while (!s.heap.empty()) {
    std::pop_heap(s.heap.begin(), s.heap.end(), std::greater<>());
    const uint64_t top = s.heap.back();
    const auto at = static_cast<uint32_t>(top);
    s.heap.pop_back();
    if (s.ranks[at] == PairTable::kNoRank || key(s.ranks[at], at) != top) continue;
    if (rng.uniform64(draws++) < dropout) {
      passed_over.push_back(top);
      continue;
    }
    make(at, s);
    for (const uint64_t again : passed_over) {
      s.heap.push_back(again);
      std::push_heap(s.heap.begin(), s.heap.end(), std::greater<>());
    }
    passed_over.clear();
  }
  for (uint32_t i = 0; i != kNone; i = s.next[i]) out.push_back(s.ids[i]);
}

void PairMerger::merge_short(size_t n, Scratch& s, std::vector<int32_t>& out) const {
  ShortMerge piece(pairs_);
  piece.start({s.ids.data(), n}, s.ranks.data());
  while (piece.open()) piece.step([this](int32_t rank) { return result_of(rank); });
  if (piece.last().left >= 0) s.last = piece.last();
  piece.for_each([&out](int32_t id) { out.push_back(id); });
}

// From here on ranks[i] is that of the ids i and next[i].
void PairMerger::start_heap(size_t n, Scratch& s) const {
  s.previous.resize(n);
  s.next.resize(n);
  s.heap.clear();
  for (size_t i = 0; i < n; ++i) {
    s.previous[i] = i == 0 ? kNone : static_cast<uint32_t>(i - 1);
    s.next[i] = i + 1 == n ? kNone : static_cast<uint32_t>(i + 1);
    s.ranks[i] = i + 1 == n ? PairTable::kNoRank : pairs_.rank(s.ids[i], s.ids[i + 1]);
    if (s.ranks[i] != PairTable::kNoRank)
      s.heap.push_back(key(s.ranks[i], static_cast<uint32_t>(i)));
  }
  std::make_heap(s.heap.begin(), s.heap.end(), std::greater<>());
}

void PairMerger::refresh(uint32_t at, Scratch& s) const {
  const uint32_t right = s.next[at];
  s.ranks[at] = right == kNone ? PairTable::kNoRank : pairs_.rank(s.ids[at], s.ids[right]);
  if (s.ranks[at] == PairTable::kNoRank) return;
  s.heap.push_back(key(s.ranks[at], at));
  std::push_heap(s.heap.begin(), s.heap.end(), std::greater<>());
}

// Makes the merge of `at` and what stands after it.
void PairMerger::make(uint32_t at, Scratch& s) const {
  const uint32_t gone = s.next[at], after = s.next[gone];
  s.last = {s.ids[at], s.ids[gone], result_of(s.ranks[at])};
  s.ids[at] = s.last.result;
  s.ranks[gone] = PairTable::kNoRank;
  s.next[at] = after;
  if (after != kNone) s.previous[after] = at;
  refresh(at, s);
  if (s.previous[at] != kNone) refresh(s.previous[at], s);
}

}  // namespace lathe
