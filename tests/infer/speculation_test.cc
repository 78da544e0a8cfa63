// What drafters guess and how deep; that guesses change no token is shown in engine_test.cc.
#include <gtest/gtest.h>

#include "lathe/base/error.h"
#include "lathe/infer/paged_cache.h"
#include "lathe/infer/speculation/draft_depth.h"
#include "lathe/infer/speculation/prompt_lookup.h"

namespace lathe::testing {
namespace {

class OneDraft {
 public:
  std::vector<int32_t> of(Drafter&& drafter, std::vector<int32_t> text, int64_t most,
                          std::span<const int32_t> encoder_text = {}) {
    Draft draft{.text = std::move(text),
                .encoder_text = encoder_text,
                .most = most,
                .chooser = TokenChooser(request_, chain_, 0)};
    drafter.guess({&draft, 1});
    return draft.guesses;
  }

 private:
  Request request_;
  SamplerChain chain_{GenerationConfig{}};
};

using Ids = std::vector<int32_t>;

TEST(PromptLookup, GoesOnAsTheTextDidBefore) {
  OneDraft draft;
  EXPECT_EQ(draft.of(PromptLookup(), {1, 2, 3, 4, 5, 1, 2}, 2), (Ids{3, 4}));
  EXPECT_EQ(draft.of(PromptLookup(), {1, 2, 3, 4, 5, 1, 2}, 9), (Ids{3, 4, 5, 1, 2}));
  // The longest run counts, and of equal ones the last.
  EXPECT_EQ(draft.of(PromptLookup(), {7, 1, 2, 3, 9, 1, 2, 4, 7, 1, 2}, 1), (Ids{3}));
  EXPECT_EQ(draft.of(PromptLookup(), {1, 2, 3, 9, 1, 2, 4, 8, 1, 2}, 1), (Ids{4}));
  // What repeats itself overlaps itself.
  EXPECT_EQ(draft.of(PromptLookup(), {5, 6, 6, 6}, 3), (Ids{6}));
}

TEST(PromptLookup, IsSilentWhereTheRunIsTooShort) {
  OneDraft draft;
  EXPECT_TRUE(draft.of(PromptLookup(), {1, 2, 3, 9, 2}, 4).empty());
  EXPECT_EQ(draft.of(PromptLookup(1), {1, 2, 3, 9, 2}, 4), (Ids{3, 9, 2}));
  EXPECT_TRUE(draft.of(PromptLookup(), {}, 4).empty());
  EXPECT_TRUE(draft.of(PromptLookup(), {1}, 4).empty());
}

TEST(PromptLookup, QuotesTheTextOfAnEncoder) {
  OneDraft draft;
  const Ids source = {3, 4, 5, 6, 7};
  EXPECT_EQ(draft.of(PromptLookup(), {0, 4, 5}, 8, source), (Ids{6, 7}));
}

// The rate that the formula of the header gives.
double rate(double acceptance, double cost, int64_t k) {
  double tokens = 1, chance = 1;
  for (int64_t i = 0; i < k; ++i) tokens += chance *= acceptance;
  return tokens / (1 + cost * static_cast<double>(k));
}

DraftDepth measured(int64_t most, double first, double row) {
  DraftDepth depth(most);
  for (int i = 0; i < 200; ++i)
    for (const int64_t rows : {1, 2, 5, 9})
      depth.passed(rows, first + row * static_cast<double>(rows));
  return depth;
}

TEST(DraftDepth, FindsTheCostOfARowInTheTimesOfPasses) {
  const DraftDepth::Cost cost = measured(8, 9e-3, 1e-3).cost();
  EXPECT_NEAR(cost.first, 9e-3, 1e-5);
  EXPECT_NEAR(cost.row, 1e-3, 1e-5);
}

TEST(DraftDepth, IsWhereTheRateIsLargest) {
  const DraftDepth depth = measured(12, 9e-3, 1e-3);
  for (const double acceptance : {0.2, 0.5, 0.8, 0.95}) {
    DraftRecord record{.right = acceptance, .wrong = 1 - acceptance};
    int64_t best = 0;
    for (int64_t k = 1; k <= 12; ++k)
      if (rate(acceptance, 0.1, k) > rate(acceptance, 0.1, best)) best = k;
    EXPECT_EQ(depth.choose(record, 1), best) << acceptance;
  }
}

TEST(DraftDepth, IsSmallerWhereManyDecodeTogether) {
  const DraftDepth depth = measured(12, 9e-3, 1e-3);
  DraftRecord record{.right = 0.9, .wrong = 0.1};
  EXPECT_GT(depth.choose(record, 1), depth.choose(record, 16));
}

TEST(DraftDepth, IsOffWhereGuessesLoseButTriesAgain) {
  const DraftDepth depth = measured(8, 5e-3, 5e-3);
  DraftRecord record;
  for (int i = 0; i < 20; ++i) DraftDepth::record(record, 2, 0);
  EXPECT_LT(record.acceptance(), 0.05);
  int64_t tries = 0;
  for (int i = 0; i < 10 * DraftDepth::kTrial; ++i) tries += depth.choose(record, 1);
  EXPECT_EQ(tries, 10);
  for (int i = 0; i < 40; ++i) DraftDepth::record(record, 1, 1);
  EXPECT_GT(depth.choose(record, 1), 0);
}

TEST(DraftDepth, CountsTheTimeOfTheDrafter) {
  DraftDepth depth = measured(8, 9e-3, 1e-3);
  DraftRecord record{.right = 0.8, .wrong = 0.2};
  const int64_t cheap = depth.choose(record, 1);
  for (int i = 0; i < 50; ++i) depth.drafted(4, 4 * 9e-3);
  EXPECT_LT(depth.choose(record, 1), cheap);
}

TEST(PagedCache, TakesTokensBack) {
  const CacheGroup group{.layers = {{.layer = {}, .k = Shape({1, 2}), .v = Shape()}}};
  PagedCache cache({group}, {.block_size = 4, .blocks = {8}});
  const auto id = cache.open();
  const auto grow = [&](int64_t count) {
    ASSERT_TRUE(cache.reserve(id, count));
    Rows rows = Rows::of(IdRows{std::vector<int32_t>(static_cast<size_t>(count), 1)});
    rows.context = {cache.length(id)};
    cache.begin_pass({id});
    cache.end_pass(rows);
  };
  grow(6);
  cache.publish(id, std::vector<int32_t>(5, 1));
  EXPECT_EQ(cache.index().size(), 1u);
  grow(8);
  EXPECT_EQ(cache.pool(0).held(), 4);
  cache.truncate(id, 7);
  EXPECT_EQ(cache.length(id), 7);
  EXPECT_EQ(cache.pool(0).held(), 2);
  EXPECT_THROW(cache.truncate(id, 8), Error);
  EXPECT_THROW(cache.truncate(id, 3), Error);  // its block can be found
  cache.close(id);
  EXPECT_EQ(cache.pool(0).held(), 0);
}

}  // namespace
}  // namespace lathe::testing
