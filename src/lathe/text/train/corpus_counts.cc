#include "lathe/text/train/corpus_counts.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"

namespace lathe {
namespace {

constexpr std::string_view kWhere = "train";
constexpr int64_t kFinestUnit = 1000000;
constexpr double kKept = 2.0 / 3;       // of the memory, when words are forgotten
constexpr double kHighestCount = 4e18;  // a sum of counts, below 2^62

int64_t cost_of(const WordCounts::Entry& e) {
  return CorpusCounts::kMemoryPerWord + CorpusCounts::kMemoryPerByte * int64_t{e.length};
}

int64_t unit_for(std::span<const double> weights) {
  int64_t unit = 1;
  for (const double weight : weights) {
    require(std::isfinite(weight) && weight > 0, ErrorKind::kConfig, kWhere,
            "a source has the weight {}, expected a number above 0", weight);
    const auto whole = [&] {
      const double scaled = weight * static_cast<double>(unit);
      return std::abs(scaled - std::round(scaled)) <= 1e-9 * scaled;
    };
    while (unit < kFinestUnit && !whole()) unit *= 10;
  }
  return unit;
}

// Counts by size: exact up to 2^11, then 2^10 steps for every doubling.
constexpr int kExactBits = 10;
size_t bin_of(int64_t count) {
  const int shift =
      std::max(0, static_cast<int>(std::bit_width(static_cast<uint64_t>(count))) - kExactBits - 1);
  return (static_cast<size_t>(shift) << kExactBits) + static_cast<size_t>(count >> shift);
}

int64_t highest_in(size_t bin) {
  const int shift = std::max(0, static_cast<int>(bin >> kExactBits) - 1);
  const auto mantissa = static_cast<int64_t>(bin - (static_cast<size_t>(shift) << kExactBits));
  return ((mantissa + 1) << shift) - 1;
}

}  // namespace

CorpusCounts::CorpusCounts(const WordCutter& cutter, int64_t memory_bytes,
                           std::span<const double> weights, CountSteps steps)
    : cutter_(cutter),
      memory_bytes_(memory_bytes),
      unit_(unit_for(weights)),
      once_(unit_),
      count_(unit_),
      shards_(WordTally::kShards),
      steps_(steps),
      next_stretch_(end_of_stretch()) {}

CountSteps CountSteps::for_memory(int64_t memory_bytes) {
  CountSteps steps;
  steps.round_bytes = std::clamp<size_t>(static_cast<size_t>(memory_bytes) / 32,
                                         CorpusCounts::kBlockBytes, steps.round_bytes);
  return steps;
}

void CorpusCounts::set_weight(double weight) {
  require(weight * static_cast<double>(unit_) < kHighestCount && weight > 0, ErrorKind::kConfig,
          kWhere, "a source has the weight {}, expected a number above 0 and below {}", weight,
          kHighestCount / static_cast<double>(unit_));
  count_ = std::max<int64_t>(1, std::llround(weight * static_cast<double>(unit_)));
}

int64_t CorpusCounts::distinct() const {
  int64_t n = 0;
  for (const WordCounts& shard : shards_) n += shard.size();
  return n;
}

int64_t CorpusCounts::cost() const {
  int64_t n = 0;
  for (const WordCounts& shard : shards_)
    n += (kMemoryPerWord - kMemoryPerByte) * shard.size() + kMemoryPerByte * shard.positions();
  return n;
}

void CorpusCounts::add(std::string_view piece) {
  if (gathered_.empty()) gathered_.reserve(next_stretch_);
  stats_.bytes += static_cast<int64_t>(piece.size());
  while (!piece.empty()) {
    const size_t n = std::min(piece.size(), next_stretch_ - gathered_.size());
    gathered_ += piece.substr(0, n);
    piece.remove_prefix(n);
    if (gathered_.size() == next_stretch_) count_stretch();
  }
}

void CorpusCounts::end_text() { ends_.push_back({gathered_.size(), count_}); }

void CorpusCounts::finish() {
  end_text();
  count_blocks(blocks_of(gathered_.size()));
  enforce_limit();
  gathered_ = std::string();
  ends_.clear();
  stats_.words = static_cast<int64_t>(occurrences_) / unit_;
  stats_.distinct = distinct();
  require(occurrences_ > 0, ErrorKind::kData, kWhere,
          "the corpus has no text; give at least one file that contains text");
  require(stats_.distinct > 0, ErrorKind::kData, kWhere,
          "no word fits into the memory limit of {} bytes; raise it", memory_bytes_);
}

// Stretches end at multiples of their size from the beginning of the round, and with the round.
size_t CorpusCounts::end_of_stretch() const {
  const size_t next = (counted_ / steps_.stretch_bytes + 1) * steps_.stretch_bytes;
  return std::min(next, steps_.round_bytes) - counted_;
}

// Counts all but the end of the unfinished text, which the next bytes may still belong to.
void CorpusCounts::count_stretch() {
  const bool ends_round = counted_ + gathered_.size() >= steps_.round_bytes;
  const size_t begin = ends_.empty() ? 0 : ends_.back().at;
  const size_t end = begin + last_cut(std::string_view(gathered_).substr(begin));
  count_blocks(blocks_of(end));
  gathered_.erase(0, end);
  ends_.clear();
  counted_ += end;
  if (ends_round) {
    enforce_limit();
    counted_ = 0;
  }
  next_stretch_ = std::max(end_of_stretch(), gathered_.size() * 2);
  require(gathered_.size() < kLongestWord, ErrorKind::kData, kWhere,
          "{} bytes in a row contain no end of a word, which does not occur in text; leave this "
          "file out",
          gathered_.size());
}

// Near the end of a text that goes on. What decides about a cut lies at most look_ahead() behind
// it. 0 when there is none.
size_t CorpusCounts::last_cut(std::string_view text) const {
  const size_t margin = cutter_.look_ahead();
  for (size_t back = kBlockBytes / 16; text.size() > margin; back *= 4) {
    const size_t from = text.size() - std::min(text.size() - 1, margin + back);
    const size_t cut = cutter_.safe_cut(text, from);
    if (cut + margin <= text.size()) return cut;
    if (back >= text.size()) break;
  }
  return 0;
}

// The gathered texts up to `end`, long ones cut and short ones together.
std::vector<CorpusCounts::Block> CorpusCounts::blocks_of(size_t end) const {
  std::vector<Block> blocks(1);
  size_t in_block = 0;
  const auto put = [&](std::string_view text, int64_t count) {
    if (in_block >= kBlockBytes) {
      blocks.emplace_back();
      in_block = 0;
    }
    blocks.back().push_back({text, count});
    in_block += text.size();
  };
  size_t begin = 0;
  const auto put_text = [&](size_t text_end, int64_t count) {
    std::string_view text = std::string_view(gathered_).substr(begin, text_end - begin);
    begin = text_end;
    while (!text.empty()) {
      const size_t cut =
          text.size() <= kBlockBytes ? text.size() : cutter_.safe_cut(text, kBlockBytes);
      put(text.substr(0, cut), count);
      text.remove_prefix(cut);
    }
  };
  for (const TextEnd& text_end : ends_) put_text(text_end.at, text_end.count);
  put_text(end, count_);
  return blocks;
}

void CorpusCounts::count_blocks(const std::vector<Block>& blocks) {
  const int threads = thread_count();
  std::vector<WordTally> local(threads);
  std::vector<std::unique_ptr<WordCutter::Worker>> workers(threads);
  parallel_dynamic(static_cast<int64_t>(blocks.size()), [&](int64_t i, int thread) {
    if (!workers[thread]) workers[thread] = cutter_.worker();
    for (const Weighted& w : blocks[i]) workers[thread]->cut(w.text, w.count, local[thread]);
  });
  parallel_dynamic(threads, [&](int64_t i, int) {
    if (workers[i]) workers[i]->finish(local[i]);
  });
  parallel_dynamic(WordTally::kShards, [&](int64_t shard, int) {
    for (WordTally& tally : local) {
      shards_[shard].add_all(tally.shard(shard));
      tally.shard(shard).clear();
    }
  });
  for (const WordTally& tally : local) occurrences_ += tally.occurrences();
  require(occurrences_ < kHighestCount, ErrorKind::kData, kWhere,
          "the counts of all words together exceed {:.0e}; give the sources smaller weights",
          kHighestCount);
}

// Finds the threshold at which the words that are kept cost a share of the memory on average.
void CorpusCounts::enforce_limit() {
  if (cost() <= memory_bytes_) return;
  struct Bin {
    double cost = 0, cost_by_count = 0;
  };
  std::vector<Bin> bins(bin_of(INT64_MAX) + 1);
  for (const WordCounts& shard : shards_)
    shard.for_each([&](const WordCounts::Entry& e) {
      Bin& bin = bins[bin_of(e.count)];
      bin.cost += static_cast<double>(cost_of(e));
      bin.cost_by_count += static_cast<double>(cost_of(e)) * static_cast<double>(e.count);
    });
  const double aim = kKept * static_cast<double>(memory_bytes_);
  double surely = static_cast<double>(cost()), perhaps = 0;
  int64_t threshold = 1;
  for (size_t bin = 1; bin < bins.size(); ++bin) {
    surely -= bins[bin].cost;
    perhaps += bins[bin].cost_by_count;
    threshold = highest_in(bin) + 1;
    if (surely + perhaps / static_cast<double>(threshold) <= aim) break;
  }
  ++draws_;
  once_ = std::max(once_, threshold);
  for (WordCounts& shard : shards_) stats_.forgotten += shard.sample(threshold, draws_);
}

}  // namespace lathe
