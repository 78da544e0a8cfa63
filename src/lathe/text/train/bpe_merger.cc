// The incremental algorithm. A table knows for every pair its count and its places. Merging a pair
// visits its places, left to right, and there
//
//     x (a b) y   becomes   x new y :   (x,a) and (b,y) lose, (x,new) and (new,y) gain a word's
//     count
//
// The changes are summed by neighbour first, so the table is touched once for each neighbour and
// not once for each place. Places are never removed one by one: a place that no longer holds the
// pair is recognised when it is visited. The heap of candidates is lazy as well: counts only fall,
// so a candidate with an outdated count is put back with the right one when it comes up.
//
// A pair's count is complete right after the merge that made its younger token, and falls from then
// on. So a pair that is too rare at that moment can be left out of the table for good, which is
// what keeps a large corpus small: its millions of rare pairs would take more memory than its text.
// `threshold_` is the bound. Should the pairs above it be used up before the vocabulary is full,
// everything is counted again with a lower bound.
//
// That a count is complete at once needs every token to be made by one pair only. It is: suppose a
// string w were made by (u,v) and later by (u',v'). Up to the first of the two merges no token has
// crossed the borders of either occurrence of w, so the same merges were applied inside both in the
// same order, and both stood there as u v.
//
// A length limit changes none of this, because it looks at the string only.
//
// By likelihood, a pair's score also rises, when its tokens become rarer. So after a merge all
// pairs of its two tokens are offered again, and no pair is left out of the table: the rarest may
// be best.
//
// Threads share the places of a pair by whole words. Sums and positions are put together in the
// order of the threads' ranges, so nothing depends on how many there are.
#include "lathe/text/train/bpe_merger.h"

#include <algorithm>
#include <bit>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"

namespace lathe {
namespace {

constexpr int64_t kPlacesPerThread = 1 << 15;
constexpr int64_t kSmallText = 1 << 22;  // positions; below, no pair is left out
constexpr int64_t kThresholdDivisor = 64;

uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

}  // namespace

void BpeMerger::Side::clear() {
  for (int32_t token : touched) moved[token] = 0;
  touched.clear();
  events.clear();
  // One frequent pair must not hold its memory to the end.
  if (events.capacity() > size_t{1} << 18) events.shrink_to_fit();
}

BpeMerger::BpeMerger(MergeText text, std::vector<int32_t> lengths, const MergeLimits& limits)
    : text_(std::move(text)),
      lengths_(std::move(lengths)),
      limits_(limits),
      threshold_(std::max({limits.min_count, limits.first_threshold, int64_t{1}})),
      changes_(static_cast<size_t>(thread_count())),
      pair_of_(static_cast<size_t>(limits.vocab_size), kNoPair) {
  const auto vocab_size = static_cast<size_t>(limits.vocab_size);
  for (Changes& c : changes_)
    for (Side* side : {&c.left, &c.right}) side->moved.assign(vocab_size, 0);
  if (by_likelihood()) {
    count_tokens();
  } else if (limits.first_threshold == 0 && text_.positions() > kSmallText) {
    double total = 0;
    for (size_t word = 0; word < static_cast<size_t>(text_.words()); ++word) {
      const auto pairs = static_cast<int64_t>(text_.word_end(word) - text_.word_begin(word)) - 1;
      total += static_cast<double>(pairs) * static_cast<double>(text_.count_of_word(word));
    }
    const double share = total / static_cast<double>(limits.vocab_size * kThresholdDivisor);
    threshold_ = std::max(threshold_, static_cast<int64_t>(share));
  }
  rebuild();
}

void BpeMerger::count_tokens() {
  count_of_.assign(static_cast<size_t>(limits_.vocab_size), 0);
  pairs_of_.resize(static_cast<size_t>(limits_.vocab_size));
  for (size_t word = 0; word < static_cast<size_t>(text_.words()); ++word)
    for (size_t i = text_.word_begin(word); i < text_.word_end(word); ++i)
      count_of_[text_.at(i)] += text_.count_of_word(word);
}

// Counts the pairs of the text as it stands and makes a table of those that reach the threshold.
void BpeMerger::rebuild() {
  pairs_.clear();
  heap_.clear();
  table_ = ProbingTable<PairSlot>(1024);
  for (const PairCount& p : frequent_pairs(paired_text(), threshold_)) {
    const uint32_t pair = find_or_insert(p.left, p.right);
    pairs_[pair].count = p.count;
    pairs_[pair].positions.reserve(p.places);
    offer(pair);
  }
  const int64_t parts = thread_count();
  parallel_for(parts, 1, [&](int64_t part) {
    const auto look_ahead = [this](uint64_t hash) { table_.prefetch(hash); };
    for_each_pair(paired_text(), {part, parts}, look_ahead, [this](const PlacedPair& p) {
      const uint32_t pair = find(p.left, p.right);
      if (pair != kNoPair) pairs_[pair].positions.push_back(p.position);
    });
  });
}

uint32_t BpeMerger::find(int32_t left, int32_t right) const {
  const uint64_t hash = hash_of_pair(left, right);
  return table_
      .find(hash,
            [&](PairSlot slot) {
              return slot.tag == tag_of(hash) && pairs_[slot.pair].left == left &&
                     pairs_[slot.pair].right == right;
            })
      .pair;
}

uint32_t BpeMerger::find_or_insert(int32_t left, int32_t right) {
  const uint32_t known = find(left, right);
  if (known != kNoPair) return known;
  const auto added = static_cast<uint32_t>(pairs_.size());
  pairs_.push_back({left, right, 0, {}});
  if (pairs_.size() * 2 > table_.slots().size())
    table_.grow([this](PairSlot slot) {
      return hash_of_pair(pairs_[slot.pair].left, pairs_[slot.pair].right);
    });
  const uint64_t hash = hash_of_pair(left, right);
  table_.add(hash, {added, tag_of(hash)});
  if (by_likelihood()) {
    pairs_of_[left].push_back(added);
    if (right != left) pairs_of_[right].push_back(added);
  }
  return added;
}

BpeMerger::Candidate BpeMerger::candidate(uint32_t pair) const {
  const Pair& p = pairs_[pair];
  double score = 0;
  if (by_likelihood()) {
    score = static_cast<double>(p.count) / static_cast<double>(count_of_[p.left]) /
            static_cast<double>(count_of_[p.right]);
  }
  return {score, p.count, p.left, p.right, pair};
}

void BpeMerger::offer(uint32_t pair) {
  heap_.push_back(candidate(pair));
  std::push_heap(heap_.begin(), heap_.end());
}

std::optional<BpeMerger::Best> BpeMerger::best() {
  for (;;) {
    if (heap_.empty()) {
      const int64_t lowest = std::max<int64_t>(limits_.min_count, 1);
      if (by_likelihood() || threshold_ <= lowest) return std::nullopt;
      threshold_ = std::max(lowest, threshold_ / 8);
      rebuild();
      continue;
    }
    std::pop_heap(heap_.begin(), heap_.end());
    const Candidate top = heap_.back();
    heap_.pop_back();
    Pair& pair = pairs_[top.pair];
    if (pair.count < threshold_) {
      pair.positions = {};
      continue;
    }
    const Candidate now = candidate(top.pair);
    if (now.count == top.count && now.score == top.score)
      return Best{top.left, top.right, top.count};
    if (now < top) offer(top.pair);  // one that rose has been offered already
  }
}

// Merges the places positions[begin, end) of `pair`. They ascend, so that of overlapping places (a
// a a) the leftmost is merged.
void BpeMerger::apply(const Pair& pair, int32_t result, size_t begin, size_t end,
                      Changes& changes) {
  const auto left_length = static_cast<size_t>(lengths_[pair.left]);
  const auto right_length = static_cast<size_t>(lengths_[pair.right]);
  constexpr size_t kAhead = 12;  // two fetches that depend on each other
  for (size_t i = begin; i < end; ++i) {
    if (i + 2 * kAhead < end) text_.prefetch(pair.positions[i + 2 * kAhead]);
    if (i + kAhead < end) text_.prefetch_word(pair.positions[i + kAhead]);
    const size_t left = pair.positions[i], right = left + left_length;
    if (text_.at(left) != pair.left || text_.at(right) != pair.right) continue;
    const int64_t count = text_.count_of_word(text_.word_at(left));
    changes.merged += count;
    if (const auto before = text_.previous(left))
      changes.left.add(text_.at(*before), count, *before);
    const int32_t after = text_.at(right + right_length);
    if (after != MergeText::kEnd) changes.right.add(after, count, left);
    text_.join(left, right, left_length + right_length, result);
  }
}

void BpeMerger::apply_in_parallel(const Pair& pair, int32_t result) {
  const std::vector<uint32_t>& positions = pair.positions;
  const auto size = static_cast<int64_t>(positions.size());
  const auto threads = static_cast<int64_t>(changes_.size());
  const int64_t parts = std::clamp<int64_t>(size / kPlacesPerThread, 1, threads);
  // The first place at or after a boundary that begins another word.
  const auto cut = [&](int64_t part) {
    int64_t i = part == parts ? size : part_of(size, part, parts).begin;
    while (i > 0 && i < size && text_.word_at(positions[i]) == text_.word_at(positions[i - 1])) ++i;
    return static_cast<size_t>(i);
  };
  std::vector<size_t> cuts;
  for (int64_t part = 0; part <= parts; ++part) cuts.push_back(cut(part));
  parallel_for(parts, 1, [&](int64_t part) {
    apply(pair, result, cuts[part], cuts[part + 1], changes_[part]);
  });
}

void BpeMerger::subtract(int32_t left, int32_t right, int64_t count) {
  const uint32_t pair = find(left, right);
  if (pair != kNoPair && pairs_[pair].count > 0) pairs_[pair].count -= count;
}

// Enters the pairs that the new token forms on one side, as far as they reach the threshold.
void BpeMerger::add_pairs(Side Changes::*side, const Pair& merged, int32_t result) {
  const bool is_left = side == &Changes::left;
  std::vector<int32_t> neighbours;
  for (const Changes& c : changes_)
    neighbours.insert(neighbours.end(), (c.*side).touched.begin(), (c.*side).touched.end());
  std::sort(neighbours.begin(), neighbours.end());
  neighbours.erase(std::unique(neighbours.begin(), neighbours.end()), neighbours.end());
  std::vector<uint32_t> fresh;
  for (int32_t n : neighbours) {
    int64_t count = 0;
    for (const Changes& c : changes_) {
      count += (c.*side).moved[n];
      // `new a` that became `new new` when the next pair of the same word was merged.
      if (!is_left && n == merged.left) count -= c.left.moved[result];
    }
    if (count < threshold_ || !fits(n, result)) continue;
    const uint32_t pair = is_left ? find_or_insert(n, result) : find_or_insert(result, n);
    pairs_[pair].count = count;
    pair_of_[n] = pair;
    fresh.push_back(pair);
  }
  std::vector<uint32_t> places(fresh.size(), 0);
  if (!fresh.empty()) {
    const uint32_t first = *std::min_element(fresh.begin(), fresh.end());
    places.assign(pairs_.size() - first, 0);
    for (const Changes& c : changes_)
      for (const auto& [n, position] : (c.*side).events)
        if (pair_of_[n] != kNoPair) ++places[pair_of_[n] - first];
    for (uint32_t pair : fresh) pairs_[pair].positions.reserve(places[pair - first]);
    for (const Changes& c : changes_)
      for (const auto& [n, position] : (c.*side).events)
        if (pair_of_[n] != kNoPair) pairs_[pair_of_[n]].positions.push_back(position);
  }
  for (uint32_t pair : fresh) offer(pair);
  for (int32_t n : neighbours) pair_of_[n] = kNoPair;
}

// The counts of the tokens after a merge, and the pairs whose score they change.
void BpeMerger::move_counts(const Pair& merged, int32_t result) {
  int64_t count = 0;
  for (const Changes& c : changes_) count += c.merged;
  count_of_[result] = count;
  for (const int32_t token : {merged.left, merged.right}) count_of_[token] -= count;
  for (const int32_t token : {merged.left, merged.right}) {
    std::vector<uint32_t>& pairs = pairs_of_[token];
    std::erase_if(pairs, [&](uint32_t pair) { return pairs_[pair].count < threshold_; });
    for (const uint32_t pair : pairs) offer(pair);
  }
}

int32_t BpeMerger::merge(const Best& best) {
  const uint32_t index = find(best.left, best.right);
  Pair merged = std::move(pairs_[index]);
  pairs_[index] = {best.left, best.right, 0, {}};
  const auto result = static_cast<int32_t>(lengths_.size());
  lengths_.push_back(lengths_[best.left] + lengths_[best.right]);

  apply_in_parallel(merged, result);
  merged.positions = {};
  for (const Changes& c : changes_) {
    for (int32_t n : c.left.touched) table_.prefetch(hash_of_pair(n, best.left));
    for (int32_t n : c.right.touched) table_.prefetch(hash_of_pair(best.right, n));
    for (int32_t n : c.left.touched)
      if (n != result) subtract(n, best.left, c.left.moved[n]);
    for (int32_t n : c.right.touched)
      if (n != result) subtract(best.right, n, c.right.moved[n]);
  }
  if (by_likelihood()) move_counts(merged, result);
  add_pairs(&Changes::left, merged, result);
  add_pairs(&Changes::right, merged, result);
  for (Changes& c : changes_) {
    c.left.clear();
    c.right.clear();
    c.merged = 0;
  }
  return result;
}

}  // namespace lathe
