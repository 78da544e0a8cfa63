#include "lathe/train/data_loader.h"

#include <gtest/gtest.h>

#include <set>

#include "train/run.h"

namespace lathe::testing {
namespace {

using Ids = std::vector<int32_t>;

Ids ids_of(const Tensor& t, int64_t row) {
  const int32_t* x = t.data<int32_t>() + row * t.size(1);
  return {x, x + t.size(1)};
}

Ids counted(int64_t begin, int64_t end) {
  Ids ids;
  for (int64_t i = begin; i < end; ++i) ids.push_back(static_cast<int32_t>(i));
  return ids;
}

class Loader : public ::testing::Test {
 protected:
  TokenShard shard(const Documents& documents, int64_t vocabulary = 1000) {
    return TokenShard(write_shard(folder_ / "shard", documents, vocabulary));
  }
  TempFolder folder_;
};

// accept/README.md: sample k is the tokens k·T … k·T+T, row j of step i is sample i·B+j.
TEST_F(Loader, SequentialSamplesFollowTheStream) {
  const TokenShard s = shard({counted(0, 40), counted(40, 101)});
  const DataLoader loader =
      plain_loader(s, {.batch_size = 3, .seq_len = 7, .vocab_size = 1000, .shuffle = false});
  EXPECT_EQ(loader.samples_per_epoch(), 14);  // 100 = 14·7 + 2
  for (int64_t step = 0; step < 6; ++step) {
    const Batch b = loader.batch(step);
    EXPECT_EQ(b.label_count, 21);
    EXPECT_FALSE(b.positions.defined());
    EXPECT_FALSE(b.segments.defined());
    for (int64_t row = 0; row < 3; ++row) {
      const int64_t k = (step * 3 + row) % 14;  // the epoch ends in the middle of step 4
      EXPECT_EQ(ids_of(b.ids, row), counted(k * 7, k * 7 + 7));
      EXPECT_EQ(ids_of(b.labels, row), counted(k * 7 + 1, k * 7 + 8));
    }
  }
}

TEST_F(Loader, ShufflingIsAPermutationOfEachEpoch) {
  for (int64_t samples : {1, 2, 3, 14, 64, 65}) {
    const TokenShard s = shard({counted(0, samples * 2 + 1)});
    const DataLoader loader =
        plain_loader(s, {.batch_size = 1, .seq_len = 2, .vocab_size = 1000, .rng = Rng(3)});
    ASSERT_EQ(loader.samples_per_epoch(), samples);
    std::set<Ids> orders;
    for (int64_t epoch = 0; epoch < 4; ++epoch) {
      Ids order;
      for (int64_t i = 0; i < samples; ++i)
        order.push_back(ids_of(loader.batch(epoch * samples + i).ids, 0)[0] / 2);
      EXPECT_EQ(std::set<int32_t>(order.begin(), order.end()).size(), static_cast<size_t>(samples));
      orders.insert(order);
    }
    if (samples >= 14) {
      EXPECT_EQ(orders.size(), 4u);
      EXPECT_FALSE(orders.contains(counted(0, samples)));
    }
  }
}

TEST_F(Loader, TheOrderIsThatOfTheSeed) {
  const TokenShard s = shard({counted(0, 201)});
  const auto order = [&](uint64_t seed) {
    const DataLoader loader =
        plain_loader(s, {.batch_size = 4, .seq_len = 2, .vocab_size = 1000, .rng = Rng(seed)});
    Ids all;
    for (int64_t i = 0; i < 25; ++i)
      for (int64_t row = 0; row < 4; ++row) all.push_back(ids_of(loader.batch(i).ids, row)[0]);
    return all;
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
}

TEST(Permuted, ReachesEveryPlaceOnce) {
  for (int64_t n : {1, 2, 3, 5, 16, 17, 1000, 4097}) {
    std::set<int64_t> seen;
    for (int64_t i = 0; i < n; ++i) seen.insert(permuted(Rng(9), i, n));
    EXPECT_EQ(seen.size(), static_cast<size_t>(n));
    EXPECT_EQ(*seen.begin(), 0);
    EXPECT_EQ(*seen.rbegin(), n - 1);
  }
}

// No value of a large range is preferred: the mean of the first thousand places.
TEST(Permuted, SpreadsEvenly) {
  constexpr int64_t kMany = int64_t{1} << 40;
  double sum = 0;
  for (int64_t i = 0; i < 1000; ++i)
    sum += static_cast<double>(permuted(Rng(2), i, kMany)) / static_cast<double>(kMany);
  EXPECT_NEAR(sum / 1000, 0.5, 0.04);
}

TEST_F(Loader, DocumentMasksSeparateDocuments) {
  const TokenShard s = shard({{10, 11, 12}, {20}, {30, 31, 32, 33, 34, 35}, {40, 41}});
  const DataLoader loader = plain_loader(
      s,
      {.batch_size = 2, .seq_len = 5, .vocab_size = 1000, .shuffle = false, .document_mask = true});
  const Batch b = loader.batch(0);
  EXPECT_EQ(ids_of(b.ids, 0), (Ids{10, 11, 12, 20, 30}));
  EXPECT_EQ(ids_of(b.labels, 0), (Ids{11, 12, -1, -1, 31}));
  EXPECT_EQ(ids_of(b.positions, 0), (Ids{0, 1, 2, 0, 0}));
  EXPECT_EQ(ids_of(b.segments, 0), (Ids{0, 0, 0, 1, 2}));
  // The second row begins inside the third document; its last target is the next one's first token.
  EXPECT_EQ(ids_of(b.ids, 1), (Ids{31, 32, 33, 34, 35}));
  EXPECT_EQ(ids_of(b.labels, 1), (Ids{32, 33, 34, 35, -1}));
  EXPECT_EQ(ids_of(b.positions, 1), (Ids{0, 1, 2, 3, 4}));
  EXPECT_EQ(ids_of(b.segments, 1), (Ids{0, 0, 0, 0, 0}));
  EXPECT_EQ(b.label_count, 7);
}

TEST_F(Loader, RefusesWhatItCannotRead) {
  const TokenShard s = shard({counted(0, 8)});
  EXPECT_EQ(error_text([&] { plain_loader(s, {.batch_size = 1, .seq_len = 7, .vocab_size = 8}); }),
            "no error");
  EXPECT_EQ(error_text([&] { plain_loader(s, {.batch_size = 1, .seq_len = 8, .vocab_size = 8}); }),
            fmt::format("[{}] 8 tokens are fewer than one sample of seq_len + 1 = 9; use more text "
                        "or a smaller train.seq_len",
                        s.prefix().string()));
  const DataLoader small = plain_loader(s, {.batch_size = 1, .seq_len = 7, .vocab_size = 7});
  const std::string text = error_text([&] { small.batch(0); });
  EXPECT_NE(text.find("7"), std::string::npos) << text;
  EXPECT_NE(text.find(s.prefix().filename().string()), std::string::npos) << text;
  const TokenShard none = shard({});
  for (int64_t length : {1, 4})
    EXPECT_NE(error_text([&] {
                plain_loader(none, {.batch_size = 1, .seq_len = length});
              }).find("0 tokens are fewer than one sample"),
              std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
