#include "lathe/text/train/pair_tally.h"

#include <algorithm>
#include <bit>

#include "lathe/base/parallel.h"
#include "lathe/text/probing_table.h"

namespace lathe {
namespace {

// The pairs of one part.
class Tally {
 public:
  explicit Tally(int64_t expected)
      : table_(std::bit_ceil(static_cast<size_t>(std::max<int64_t>(expected, 512)) * 4 / 3 + 1)) {}

  void count(const PairedText& text, TokenPart part) {
    const auto look_ahead = [this](uint64_t hash) { table_.prefetch(hash); };
    for_each_pair(text, part, look_ahead,
                  [&](const PlacedPair& p) { add(p, text.text.count_of_word(p.word)); });
  }
  int64_t size() const { return used_; }
  std::vector<PairCount> at_least(int64_t threshold) const {
    std::vector<PairCount> frequent;
    for (const PairCount& p : table_.slots())
      if (!p.free() && p.count >= threshold) frequent.push_back(p);
    return frequent;
  }

 private:
  void add(const PlacedPair& p, int64_t count) {
    PairCount& entry = table_.find(p.hash, [&](const PairCount& other) {
      return other.left == p.left && other.right == p.right;
    });
    used_ += entry.free();
    entry = {p.left, p.right, entry.count + count, entry.places + 1};
    if (used_ * 4 > static_cast<int64_t>(table_.slots().size()) * 3)
      table_.grow([](const PairCount& e) { return hash_of_pair(e.left, e.right); });
  }

  ProbingTable<PairCount> table_;
  int64_t used_ = 0;
};

// So many that the tables of all threads together take about as much memory as the text.
int64_t parts_for(const PairedText& text, int64_t pairs) {
  constexpr int64_t kSmall = 1 << 18, kPositionsPerPair = 12;
  const int64_t threads = thread_count();
  const int64_t fit = std::max(kSmall, text.text.positions() / kPositionsPerPair);
  return threads * std::max<int64_t>(1, (pairs + fit - 1) / fit);
}

// How many distinct pairs there are: of few tokens no more than there can be, else what a sample
// of the left tokens says.
int64_t estimated_pairs(const PairedText& text) {
  constexpr int64_t kSample = 64, kFewTokens = 512;
  const auto tokens = static_cast<int64_t>(text.lengths.size());
  if (tokens <= kFewTokens) return tokens * tokens;
  Tally sample(0);
  sample.count(text, {0, kSample});
  return (sample.size() + 1) * kSample;
}

}  // namespace

std::vector<PairCount> frequent_pairs(const PairedText& text, int64_t threshold) {
  const int64_t expected = estimated_pairs(text);
  const int64_t parts = parts_for(text, expected);
  std::vector<std::vector<PairCount>> found(static_cast<size_t>(parts));
  parallel_dynamic(parts, [&](int64_t part, int) {
    Tally tally(expected / parts);
    tally.count(text, {part, parts});
    found[static_cast<size_t>(part)] = tally.at_least(threshold);
  });
  std::vector<PairCount> all;
  for (std::vector<PairCount>& part : found) {
    all.insert(all.end(), part.begin(), part.end());
    std::vector<PairCount>().swap(part);
  }
  return all;
}

}  // namespace lathe
