#include "lathe/text/train/alphabet.h"

#include <algorithm>

#include "lathe/base/parallel.h"
#include "lathe/base/utf8.h"

namespace lathe {
namespace {

constexpr char32_t kBasicEnd = 0x10000;

struct Counts {
  std::vector<int64_t> basic;  // by code point
  std::unordered_map<char32_t, int64_t> others;
};

Counts count_characters(const WordCounts& words) {
  Counts counts;
  counts.basic.resize(kBasicEnd);
  words.for_each([&](const WordCounts::Entry& e) {
    const uint8_t *p = as_bytes(e.word()), *end = p + e.length;
    while (p < end) {
      const CodePoint c = decode_utf8(p, end);
      if (c.value < kBasicEnd) {
        counts.basic[c.value] += e.count;
      } else if (c.value != kInvalidByte) {
        counts.others[c.value] += e.count;
      }
      p += c.size;
    }
  });
  return counts;
}

}  // namespace

Alphabet::Alphabet(const std::vector<WordCounts>& words, double coverage) {
  std::vector<Counts> shards(words.size());
  parallel_dynamic(static_cast<int64_t>(words.size()),
                   [&](int64_t i, int) { shards[i] = count_characters(words[i]); });
  std::unordered_map<char32_t, int64_t> all;
  for (const Counts& shard : shards) {
    for (char32_t c = 1; c < kBasicEnd; ++c)
      if (shard.basic[c] > 0) all[c] += shard.basic[c];
    for (const auto& [c, count] : shard.others) all[c] += count;
  }
  double total = 0, covered = 0;
  for (const auto& [c, count] : all) characters_.push_back({c, count});
  std::sort(characters_.begin(), characters_.end(), [](const Character& a, const Character& b) {
    return a.count != b.count ? a.count > b.count : a.value < b.value;
  });
  distinct_ = static_cast<int64_t>(characters_.size());
  for (const Character& c : characters_) total += static_cast<double>(c.count);
  size_t kept = 0;
  for (; kept < characters_.size() && covered < coverage * total; ++kept)
    covered += static_cast<double>(characters_[kept].count);
  characters_.resize(kept);
  basic_.assign(kBasicEnd, -1);
  for (size_t i = 0; i < kept; ++i) {
    const char32_t c = characters_[i].value;
    (c < kBasicEnd ? basic_[c] : others_[c]) = static_cast<int32_t>(i);
  }
}

}  // namespace lathe
