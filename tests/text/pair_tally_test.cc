#include "lathe/text/train/pair_tally.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "lathe/base/parallel.h"
#include "lathe/text/vocabulary.h"
#include "text/random_text.h"

namespace lathe {
namespace {

using Counts = std::vector<std::array<int64_t, 4>>;  // left, right, count, places
constexpr int32_t kTokens = 1500;

// Random words of two bytes for each token, which is what the two say in base 256.
std::vector<WordCounts> random_words(int words) {
  testing::Dice dice(12);
  std::vector<WordCounts> shards(2);
  for (int i = 0; i < words; ++i) {
    std::string word;
    for (uint64_t n = 1 + dice.below(8); n > 0; --n) {
      const uint64_t token = dice.below(kTokens);
      word += {static_cast<char>(token >> 8), static_cast<char>(token & 0xFF)};
    }
    shards[dice.below(2)].add(word, hash_bytes(word), 1 + static_cast<int64_t>(dice.below(4)));
  }
  return shards;
}

void tokens_of(std::string_view word, std::vector<int32_t>& out) {
  for (size_t i = 0; i < word.size(); i += 2)
    out.push_back(static_cast<uint8_t>(word[i]) << 8 | static_cast<uint8_t>(word[i + 1]));
}

// Sorted.
Counts by_definition(const MergeText& text) {
  std::vector<std::array<int32_t, 3>> pairs;
  for (size_t word = 0; word < static_cast<size_t>(text.words()); ++word)
    for (size_t i = text.word_begin(word); i + 1 < text.word_end(word); ++i)
      pairs.push_back({text.at(i), text.at(i + 1), static_cast<int32_t>(word)});
  std::sort(pairs.begin(), pairs.end());
  Counts counts;
  for (const auto& [left, right, word] : pairs) {
    if (counts.empty() || counts.back()[0] != left || counts.back()[1] != right)
      counts.push_back({left, right, 0, 0});
    counts.back()[2] += text.count_of_word(static_cast<size_t>(word));
    ++counts.back()[3];
  }
  return counts;
}

Counts sorted(const std::vector<PairCount>& pairs) {
  Counts counts;
  for (const PairCount& p : pairs) counts.push_back({p.left, p.right, p.count, p.places});
  std::sort(counts.begin(), counts.end());
  return counts;
}

// So many pairs that each thread counts several parts of them.
TEST(PairTally, CountsThePairsOfTheText) {
  std::vector<WordCounts> words = random_words(90000);
  const MergeText text(words, tokens_of);
  const std::vector<int32_t> lengths(kTokens, 1);
  const Counts want = by_definition(text);
  ASSERT_GT(want.size(), size_t{1} << 18);
  Counts frequent = want;
  std::erase_if(frequent, [](const auto& pair) { return pair[2] < 7; });
  ASSERT_GT(frequent.size(), 100u);
  const int before = thread_count();
  for (const int threads : {1, 3}) {
    set_thread_count(threads);
    EXPECT_TRUE(sorted(frequent_pairs({text, lengths, 2}, 1)) == want) << threads;
    EXPECT_TRUE(sorted(frequent_pairs({text, lengths, 2}, 7)) == frequent) << threads;
    EXPECT_TRUE(frequent_pairs({text, lengths, 1}, 1).empty());  // no pair is so short
  }
  set_thread_count(before);
}

TEST(PairTally, PartsHoldEveryPairOnceByItsPlace) {
  std::vector<WordCounts> words = random_words(500);
  const MergeText text(words, tokens_of);
  const std::vector<int32_t> lengths(kTokens, 1);
  std::vector<uint32_t> all;
  for (const int64_t parts : {1, 3}) {
    std::vector<uint32_t> places;
    for (int64_t part = 0; part < parts; ++part) {
      const size_t before = places.size();
      for_each_pair(
          {text, lengths, 2}, {part, parts}, [](uint64_t) {},
          [&](const PlacedPair& p) {
            EXPECT_EQ(text.at(p.position), p.left);
            EXPECT_EQ(text.at(p.position + 1), p.right);
            EXPECT_EQ(text.word_at(p.position), p.word);
            places.push_back(p.position);
          });
      EXPECT_TRUE(std::is_sorted(places.begin() + static_cast<ptrdiff_t>(before), places.end()));
      EXPECT_TRUE(parts == 1 || places.size() > before);
    }
    std::sort(places.begin(), places.end());
    if (parts == 1) all = places;
    EXPECT_EQ(places, all);
  }
  EXPECT_GT(all.size(), 500u);
}

}  // namespace
}  // namespace lathe
