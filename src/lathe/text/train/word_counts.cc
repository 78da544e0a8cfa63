#include "lathe/text/train/word_counts.h"

#include <algorithm>
#include <cstring>

#include "lathe/base/error.h"

namespace lathe {
namespace {

constexpr size_t kChunk = size_t{64} << 10;

// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

}  // namespace

WordCounts::WordCounts() : table_(1024) {}

char* WordCounts::store(std::string_view word) {
  if (word.size() > chunk_left_) {
    chunk_left_ = std::max(kChunk, word.size());
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(chunk_left_));
    chunk_at_ = chunks_.back().get();
  }
  char* at = chunk_at_;
  std::memcpy(at, word.data(), word.size());
  chunk_at_ += word.size();
  chunk_left_ -= word.size();
  return at;
}

void WordCounts::add(std::string_view word, uint64_t hash, int64_t count) {
  const auto short_hash = static_cast<uint32_t>(hash);
  Entry& e = table_.find(short_hash, [&](const Entry& other) {
    return other.hash == short_hash && other.word() == word;
  });
  if (!e.free()) {
    e.count += count;
    return;
  }
  require(word.size() < UINT32_MAX, ErrorKind::kData, "train",
          "a single word of {} bytes, expected less than 4 GiB", word.size());
  e = {store(word), count, static_cast<uint32_t>(word.size()), short_hash};
  positions_ += static_cast<int64_t>(word.size()) + 1;
  if (++used_ * 4 > table_.slots().size() * 3)
    table_.grow([](const Entry& entry) { return entry.hash; });
}

void WordCounts::add_all(const WordCounts& other) {
  other.for_each([this](const Entry& e) { add(e.word(), e.hash, e.count); });
}

void WordCounts::clear() { *this = WordCounts(); }

int64_t WordCounts::sample(int64_t threshold, uint64_t draw) {
  WordCounts kept;
  int64_t gone = 0;
  for_each([&](const Entry& e) {
    // A number in [0, 1) of the word's own.
    const uint64_t bits = mix((draw << 32) ^ e.hash);
    const double chance = static_cast<double>(bits >> 11) * 0x1p-53;
    if (chance * static_cast<double>(threshold) < static_cast<double>(e.count)) {
      kept.add(e.word(), e.hash, std::max(e.count, threshold));
    } else {
      ++gone;
    }
  });
  *this = std::move(kept);
  return gone;
}

}  // namespace lathe
