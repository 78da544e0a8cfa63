#include "lathe/train/sample_source.h"

#include <map>

#include "train/run.h"

namespace lathe::testing {
namespace {

using Shares = std::vector<double>;

TEST(ShardChoices, AreReadAsWritten) {
  EXPECT_EQ(parse_shard_choice("runs/a").prefix, "runs/a");
  EXPECT_FALSE(parse_shard_choice("runs/a").weight);
  EXPECT_EQ(parse_shard_choice("runs/a:0.25").prefix, "runs/a");
  EXPECT_EQ(parse_shard_choice("runs/a:0.25").weight, 0.25);
  EXPECT_EQ(parse_shard_choice("odd:name/a").prefix, "odd:name/a");
  for (const char* bad : {"a:0", "a:-1", "a:inf", "a:nan"})
    EXPECT_NE(error_text([&] { parse_shard_choice(bad); }).find("above 0"), std::string::npos)
        << bad;
}

TEST(ShardChoices, SharesAddUp) {
  EXPECT_EQ(shard_shares({{"a"}, {"b"}}, {10, 20}), Shares{});
  EXPECT_EQ(shard_shares({{"a", 1.0}, {"b", 3.0}}, {10, 20}), (Shares{0.25, 0.75}));
  // Those without a weight divide the rest by their samples.
  EXPECT_EQ(shard_shares({{"a"}, {"b", 0.25}, {"c"}}, {10, 7, 20}), (Shares{0.25, 0.25, 0.5}));
  EXPECT_NE(error_text([] {
              shard_shares({{"a"}, {"b", 1.0}}, {1, 1});
            }).find("leaves nothing"),
            std::string::npos);
}

class Source : public ::testing::Test {
 protected:
  // Shards of `samples` samples of 4 tokens.
  std::vector<const TokenShard*> shards(const std::vector<int64_t>& samples) {
    std::vector<const TokenShard*> all;
    for (const int64_t n : samples) {
      Documents documents(1, std::vector<int32_t>(static_cast<size_t>(n * 4 + 1), 1));
      owned_.push_back(std::make_unique<TokenShard>(
          write_shard(folder_ / std::to_string(owned_.size()), documents)));
      all.push_back(owned_.back().get());
    }
    return all;
  }
  TempFolder folder_;
  std::vector<std::unique_ptr<TokenShard>> owned_;
};

TEST_F(Source, WithoutWeightsAnEpochHoldsEverySampleOnce) {
  for (const bool shuffle : {false, true}) {
    const auto all = shards({3, 50, 7});
    const SampleSource source(all, {}, {.seq_len = 4, .shuffle = shuffle, .rng = Rng(5)});
    ASSERT_EQ(source.samples_per_epoch(), 60);
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::map<std::pair<const TokenShard*, int64_t>, int> seen;
      for (int64_t i = 0; i < 60; ++i) {
        const auto s = source.at(epoch * 60 + i);
        ++seen[{s.shard, s.begin}];
      }
      EXPECT_EQ(seen.size(), 60u);
    }
    EXPECT_DOUBLE_EQ(source.taken_from(1, 120), 100);
  }
}

TEST_F(Source, WithWeightsEachShardGivesItsShareAndEpochsOfItsOwn) {
  const auto all = shards({3, 50});
  const SampleSource source(all, {0.3, 0.7}, {.seq_len = 4, .shuffle = true, .rng = Rng(5)});
  std::map<const TokenShard*, std::map<int64_t, int>> seen;
  constexpr int64_t kMany = 4096 * 3;
  for (int64_t i = 0; i < kMany; ++i) {
    const auto s = source.at(i);
    ++seen[s.shard][s.begin];
  }
  for (size_t k = 0; k < 2; ++k) {
    int64_t total = 0;
    int least = 1 << 30, most = 0;
    for (const auto& [begin, count] : seen[all[k]]) {
      total += count;
      least = std::min(least, count);
      most = std::max(most, count);
    }
    EXPECT_EQ(seen[all[k]].size(), static_cast<size_t>(source.samples_of(k)));
    EXPECT_NEAR(static_cast<double>(total) / kMany, k == 0 ? 0.3 : 0.7, 1.0 / 4096);
    EXPECT_LE(most - least, 1) << "every sample once an epoch";
    EXPECT_DOUBLE_EQ(source.taken_from(k, kMany), static_cast<double>(total));
  }
  // A short stretch has about its share, too.
  int first = 0;
  for (int64_t i = 0; i < 400; ++i) first += source.at(i).shard == all[0];
  EXPECT_NEAR(first, 120, 40);
}

TEST_F(Source, InOrderTheShardsTakeTurnsAndEachIsReadInItsOrder) {
  const auto all = shards({30, 5000});
  const SampleSource source(all, {0.25, 0.75}, {.seq_len = 4, .shuffle = false, .rng = Rng(5)});
  std::map<const TokenShard*, int64_t> next;
  for (int64_t i = 0; i < 9000; ++i) {
    const auto s = source.at(i);
    const int64_t samples = s.shard == all[0] ? 30 : 5000;
    EXPECT_EQ(s.begin, next[s.shard]++ % samples * 4) << i;
    EXPECT_NEAR(static_cast<double>(next[all[0]]), static_cast<double>(i + 1) * 0.25, 1) << i;
  }
}

}  // namespace
}  // namespace lathe::testing
