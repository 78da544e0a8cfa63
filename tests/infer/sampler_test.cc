// Each sampler on rows small enough to work out by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/infer/sampler/count_penalties.h"
#include "lathe/infer/sampler/dry.h"
#include "lathe/infer/sampler/dynamic_temperature.h"
#include "lathe/infer/sampler/logit_bias.h"
#include "lathe/infer/sampler/min_p.h"
#include "lathe/infer/sampler/mirostat.h"
#include "lathe/infer/sampler/no_repeat_ngram.h"
#include "lathe/infer/sampler/probabilities.h"
#include "lathe/infer/sampler/repeats.h"
#include "lathe/infer/sampler/repetition_penalty.h"
#include "lathe/infer/sampler/temperature.h"
#include "lathe/infer/sampler/top_k.h"
#include "lathe/infer/sampler/top_n_sigma.h"
#include "lathe/infer/sampler/top_p.h"
#include "lathe/infer/sampler/typical.h"
#include "lathe/infer/sampler/xtc.h"

namespace lathe {
namespace {

using Row = std::vector<float>;
using Ids = std::vector<int32_t>;
constexpr float kOut = kRemoved;

// Logits of a distribution.
Row logs(std::initializer_list<double> probability) {
  Row row;
  for (double p : probability) row.push_back(static_cast<float>(std::log(p)));
  return row;
}

Ids kept(const Row& row) {
  Ids ids;
  for (size_t i = 0; i < row.size(); ++i)
    if (row[i] != kOut) ids.push_back(static_cast<int32_t>(i));
  return ids;
}

Row random_row(size_t size, uint64_t seed) {
  Row row(size);
  const Rng rng(seed);
  for (size_t i = 0; i < size; ++i) row[i] = static_cast<float>(2 * rng.normal(i));
  return row;
}

TEST(Temperature, Divides) {
  Row row = {1, 3, -1};
  temperature(row, 0.5);
  EXPECT_EQ(row, (Row{-4, 0, -8}));
}

TEST(Temperature, TinyAndHugeStayFinite) {
  Row cold = {1, 3, -1}, hot = cold;
  temperature(cold, 1e-300);
  EXPECT_EQ(cold, (Row{kOut, 0, kOut}));
  temperature(hot, 1e300);
  EXPECT_EQ(hot[1], 0);
  EXPECT_NEAR(hot[2], 0, 1e-30);
}

TEST(Temperature, KeepsRemovedTokensOut) {
  Row row = {kOut, 2, kOut}, none = {kOut, kOut};
  temperature(row, 2);
  EXPECT_EQ(row, (Row{kOut, 0, kOut}));
  temperature(none, 2);
  EXPECT_EQ(none, (Row{kOut, kOut}));
}

TEST(Greedy, LowestIdOnTies) {
  EXPECT_EQ(greedy_choice(Row{1, 5, 2, 5}), 1);
  EXPECT_EQ(greedy_choice(Row{kOut, kOut}), 0);
}

TEST(TopK, KeepsTheLargest) {
  Row row = {0.1f, 4, 3, -2, 5};
  top_k(row, 2);
  EXPECT_EQ(row, (Row{kOut, 4, kOut, kOut, 5}));
}

TEST(TopK, TiesWithTheLastStay) {
  Row row = {2, 1, 2, 2, 0};
  top_k(row, 2);
  EXPECT_EQ(kept(row), (Ids{0, 2, 3}));
}

TEST(TopK, MoreThanTheRowOrThanWhatIsLeft) {
  Row row = {2, 1}, few = {kOut, 1, kOut, kOut};
  top_k(row, 5);
  EXPECT_EQ(row, (Row{2, 1}));
  top_k(few, 3);
  EXPECT_EQ(kept(few), (Ids{1}));
}

TEST(TopK, EqualsSorting) {
  for (const int64_t k : {1, 2, 50, 999}) {
    Row row = random_row(1000, 3), sorted = row;
    std::sort(sorted.rbegin(), sorted.rend());
    top_k(row, k);
    EXPECT_EQ(kept(row).size(), static_cast<size_t>(k));
    for (int32_t id : kept(row))
      EXPECT_GE(row[static_cast<size_t>(id)], sorted[static_cast<size_t>(k) - 1]);
  }
}

TEST(TopP, KeepsUntilTheMassIsReached) {
  const Row row = logs({0.1, 0.4, 0.2, 0.3});
  const auto with = [&](double p) {
    Row copy = row;
    top_p(copy, p);
    return kept(copy);
  };
  EXPECT_EQ(with(0.0), (Ids{1}));
  EXPECT_EQ(with(0.39), (Ids{1}));
  EXPECT_EQ(with(0.41), (Ids{1, 3}));
  EXPECT_EQ(with(0.69), (Ids{1, 3}));
  EXPECT_EQ(with(0.71), (Ids{1, 2, 3}));
  EXPECT_EQ(with(0.95), (Ids{0, 1, 2, 3}));
}

TEST(TopP, KeepsTheLogitsThemselves) {
  Row row = {1.25f, -7, 3.5f};
  top_p(row, 0.99);
  EXPECT_EQ(row, (Row{1.25f, kOut, 3.5f}));
}

TEST(TopP, EqualsSorting) {
  for (const double p : {0.05, 0.5, 0.9, 0.999}) {
    Row row = random_row(2000, 5);
    std::vector<Probability> sorted = probabilities(row);
    std::sort(sorted.begin(), sorted.end(), [](auto& a, auto& b) { return a.value > b.value; });
    std::set<int32_t> expected;
    for (double mass = 0; mass < p; mass += sorted[expected.size() - 1].value)
      expected.insert(sorted[expected.size()].id);
    top_p(row, p);
    EXPECT_EQ(kept(row), Ids(expected.begin(), expected.end())) << p;
  }
}

TEST(TopP, FlatRowKeepsItsShare) {
  Row row(1000, 1.0f);
  top_p(row, 0.25);
  EXPECT_EQ(kept(row).size(), 250u);
}

TEST(MinP, ComparesWithTheLikeliest) {
  Row row = logs({0.5, 0.24, 0.26});
  min_p(row, 0.5);
  EXPECT_EQ(kept(row), (Ids{0, 2}));
  Row top = {3, 3, 2.999f};
  min_p(top, 1.0);
  EXPECT_EQ(kept(top), (Ids{0, 1}));
  Row off = {3, kOut, -50};
  min_p(off, 0.0);
  EXPECT_EQ(kept(off), (Ids{0, 2}));
}

TEST(Typical, LeavesOutTheTooLikely) {
  // H = 1.224 nats; | -log p - H | = 0.713, 0.897, 1.079, 1.302, 1.079.
  Row row = logs({0.6, 0.12, 0.1, 0.08, 0.1});
  typical(row, 0.5);
  EXPECT_EQ(kept(row), (Ids{0}));
  // p = 0.4 and six of 0.1: H = 1.748, distances 0.832 and 0.555, so the likeliest goes.
  Row flat = logs({0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1});
  typical(flat, 0.55);
  EXPECT_EQ(kept(flat), (Ids{1, 2, 3, 4, 5, 6}));
  typical(flat, 0.01);  // all equal now: ties stay
  EXPECT_EQ(kept(flat), (Ids{1, 2, 3, 4, 5, 6}));
}

TEST(Typical, AllOrAlmostAllRemovedBefore) {
  Row one = {kOut, 4, kOut}, none = {kOut, kOut};
  typical(one, 0.5);
  EXPECT_EQ(kept(one), (Ids{1}));
  typical(none, 0.5);
  EXPECT_EQ(kept(none), Ids{});
}

TEST(LogitBias, Adds) {
  Row row = {1, kOut, 3};
  logit_bias(row, {{0, -0.5}, {1, 100}});
  EXPECT_EQ(row, (Row{0.5f, kOut, 3}));
}

TEST(TopNSigma, KeepsWithinTheDeviation) {
  Row row = {1, 3, kOut, 5};  // mean 3, σ = sqrt(8/3) = 1.633
  top_n_sigma(row, 1.2);      // at least 3.04
  EXPECT_EQ(kept(row), (Ids{3}));
  Row wider = {1, 3, kOut, 5};
  top_n_sigma(wider, 1.3);  // at least 2.88
  EXPECT_EQ(kept(wider), (Ids{1, 3}));
  Row flat = {2, 2, 2}, none = {kOut, kOut};
  top_n_sigma(flat, 1);
  EXPECT_EQ(kept(flat).size(), 3u);
  top_n_sigma(none, 1);
  EXPECT_TRUE(kept(none).empty());
}

TEST(DynamicTemperature, FollowsTheEntropy) {
  Row flat = {1, 1, 1, 1}, sure = {0, 30}, one = {kOut, 4, kOut};
  dynamic_temperature(flat, {1, 0.5, 1});
  EXPECT_EQ(flat, (Row{0, 0, 0, 0}));
  dynamic_temperature(sure, {1, 0.5, 1});  // the entropy is all but 0: T = 0.5
  EXPECT_NEAR(sure[0], -60, 1e-3);
  dynamic_temperature(one, {0.5, 0.5, 1});  // T = 0
  EXPECT_EQ(one, (Row{kOut, 0, kOut}));
  // p = 3/4, 1/4: H = 0.5623 nats, H / ln 2 = 0.8113; squared 0.6582; T = 0.2 + 1.6 · 0.6582.
  Row two = logs({0.75, 0.25});
  dynamic_temperature(two, {1, 0.8, 2});
  EXPECT_NEAR(two[1], -std::log(3.0) / 1.25307, 1e-4);
}

TEST(Xtc, LeavesTheLeastOfTheTop) {
  Row row = logs({0.4, 0.1, 0.3, 0.2}), tie = logs({0.4, 0.3, 0.3}), none = row, alone = row;
  xtc(row, {1, 0.15}, Rng(1));
  EXPECT_EQ(kept(row), (Ids{1, 3}));
  xtc(tie, {1, 0.2}, Rng(1));
  EXPECT_EQ(kept(tie), (Ids{1}));
  xtc(none, {0, 0.15}, Rng(1));
  xtc(alone, {1, 0.35}, Rng(1));
  EXPECT_EQ(kept(none).size() + kept(alone).size(), 8u);
}

TEST(Mirostat, CutsBySurprise) {
  const Mirostat spec{.version = 2, .target = 1.05, .learning_rate = 0.5};
  MirostatState state;
  Row row = logs({0.125, 0.5, 0.25, 0.125});  // 3, 1, 2, 3 bits; the bound is 2.1
  mirostat(row, spec, state);
  EXPECT_EQ(kept(row), (Ids{1, 2}));
  observe_mirostat(row[2], spec, state);
  EXPECT_NEAR(*state.bound, 2.1 - 0.5 * (2 - 1.05), 1e-6);
  state.bound = -4;
  Row next = logs({0.125, 0.5, 0.25, 0.125});
  mirostat(next, spec, state);
  EXPECT_EQ(kept(next), (Ids{1})) << "one token always stays";
}

TEST(Mirostat, CutsByRank) {
  // Zipf's law with s = 2 over 6 tokens. ε = 1, so k = sqrt(2^μ / (1 − 1/6)) = 3.098 with μ = 3.
  Row row;
  for (int i = 1; i <= 6; ++i) row.push_back(static_cast<float>(-2 * std::log(i)));
  MirostatState state{.bound = 3.0};
  mirostat(row, {.version = 1, .target = 3, .learning_rate = 1}, state);
  EXPECT_EQ(kept(row), (Ids{0, 1, 2}));
  Row flat(8, 0.5f), harmonic, one = {kOut, 2}, none = {kOut};
  mirostat(flat, {.version = 1, .target = 3, .learning_rate = 1}, state);
  EXPECT_EQ(kept(flat).size(), 8u);
  // s = 1: k = 2^μ / ln 20 = 2.67.
  for (int i = 1; i <= 20; ++i) harmonic.push_back(static_cast<float>(-std::log(i)));
  mirostat(harmonic, {.version = 1, .target = 3, .learning_rate = 1}, state);
  EXPECT_EQ(kept(harmonic).size(), 3u);
  mirostat(one, {.version = 1, .target = 3, .learning_rate = 1}, state);
  mirostat(none, {.version = 1, .target = 3, .learning_rate = 1}, state);
  EXPECT_EQ(kept(one), (Ids{1}));
}

TEST(RepetitionPenalty, OncePerTokenOfPromptAndAnswer) {
  Row row = {2, -2, 3, 0, 1};
  const Ids prompt = {0, 1, 0, 77, -1}, generated = {0, 3};
  repetition_penalty(row, {prompt, generated}, 2.0);
  EXPECT_EQ(row, (Row{1, -4, 3, 0, 1}));
}

TEST(RepetitionPenalty, RemovedStaysRemoved) {
  Row row = {kOut, 1};
  const Ids prompt = {0};
  repetition_penalty(row, {prompt, {}}, 0.5);
  EXPECT_EQ(row, (Row{kOut, 1}));
}

TEST(CountPenalties, PerOccurrenceAndOnce) {
  Row row = {1, 1, 1, 1};
  const Ids generated = {2, 0, 2, 2, 99, -5};
  count_penalties(row, generated, 0.5, 0.25);
  EXPECT_EQ(row, (Row{0.25f, 1, -0.25f, 1}));
}

TEST(NoRepeatNgram, BansWhatWouldCompleteOne) {
  const Ids prompt = {1, 2, 3, 1}, generated = {2, 4, 1, 2};
  Row three(6, 0.0f), two(6, 0.0f), one(6, 0.0f), nine(6, 0.0f);
  no_repeat_ngram(three, {prompt, generated}, 3);  // … 1 2: seen 1 2 3 and 1 2 4
  EXPECT_EQ(kept(three), (Ids{0, 1, 2, 5}));
  no_repeat_ngram(two, {prompt, generated}, 2);  // 2 3 and 2 4
  EXPECT_EQ(kept(two), (Ids{0, 1, 2, 5}));
  no_repeat_ngram(one, {prompt, generated}, 1);
  EXPECT_EQ(kept(one), (Ids{0, 5}));
  no_repeat_ngram(nine, {prompt, generated}, 9);  // no complete one yet
  EXPECT_EQ(kept(nine).size(), 6u);
}

TEST(NoRepeatNgram, OverlapsWithItself) {
  const Ids generated = {7, 7, 7};
  Row row(8, 0.0f);
  no_repeat_ngram(row, {{}, generated}, 3);
  EXPECT_EQ(row[7], kOut);
  no_repeat_ngram(row, {}, 3);  // an empty history changes nothing
  EXPECT_EQ(kept(row).size(), 7u);
}

TEST(Repeats, EqualTheDefinition) {
  const Rng rng(11);
  for (uint64_t trial = 0; trial < 50; ++trial) {
    Ids ids(40);
    for (size_t i = 0; i < ids.size(); ++i)
      ids[i] = static_cast<int32_t>(rng.fork(trial).below(i, 2 + trial % 3));
    const auto repeats = find_repeats({std::span(ids).first(25), std::span(ids).subspan(25)}, 0);
    ASSERT_EQ(repeats.size(), ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      const size_t at = ids.size() - 1 - i;
      int64_t length = 0;
      while (static_cast<size_t>(length) < at &&
             ids[at - 1 - static_cast<size_t>(length)] ==
                 ids[ids.size() - 1 - static_cast<size_t>(length)])
        ++length;
      EXPECT_EQ(repeats[i].next, ids[at]);
      EXPECT_EQ(repeats[i].length, length);
    }
  }
}

Row dry_penalties(const Ids& history, DrySpec spec) {
  Row row(10, 0.0f);
  dry(row, {history, {}}, spec);
  for (float& l : row) l = -l;
  return row;
}

TEST(Dry, GrowsWithTheRepeat) {
  // "1 2 3 4 … 1 2 3": going on with 4 repeats three tokens.
  const Ids history = {1, 2, 3, 4, 9, 1, 2, 3};
  Row expected(10, 0.0f);
  expected[4] = 4.0f;  // 2 · 2^(3 - 2)
  EXPECT_EQ(dry_penalties(history, {2.0, 2.0, 2, 0, {}}), expected);
  expected[4] = 8.0f;
  EXPECT_EQ(dry_penalties(history, {2.0, 2.0, 1, 0, {}}), expected);
  EXPECT_EQ(dry_penalties(history, {2.0, 2.0, 4, 0, {}}), Row(10, 0.0f));
}

TEST(Dry, LongestRepeatCounts) {
  const Ids history = {2, 3, 5, 0, 1, 2, 3, 5, 6, 1, 2, 3};
  EXPECT_EQ(dry_penalties(history, {1.0, 3.0, 1, 0, {}})[5], 9.0f);
}

TEST(Dry, BreakersEndPassages) {
  const std::vector<int64_t> two = {2}, four = {4}, three = {3};
  const Ids history = {1, 2, 3, 4, 9, 1, 2, 3};
  EXPECT_EQ(dry_penalties(history, {1.0, 2.0, 1, 0, two})[4], 1.0f);  // only "3" is left of it
  EXPECT_EQ(dry_penalties(history, {1.0, 2.0, 1, 0, four})[4], 0.0f);
  EXPECT_EQ(dry_penalties(history, {1.0, 2.0, 1, 0, three})[4], 0.0f);
}

TEST(Dry, RangeLimitsTheLookBack) {
  const Ids history = {1, 2, 3, 4, 9, 1, 2, 3};
  EXPECT_EQ(dry_penalties(history, {1.0, 2.0, 1, 7, {}})[4], 2.0f);  // 2 3 are within it
  EXPECT_EQ(dry_penalties(history, {1.0, 2.0, 1, 5, {}})[4], 0.0f);
}

TEST(Dry, LongRepetitionIsFastAndFinite) {
  const Ids history(200'000, 1);
  const Row p = dry_penalties(history, {1.0, 1.75, 2, 0, {}});
  EXPECT_EQ(p[1], 1e30f);
  EXPECT_EQ(p[0], 0.0f);
}

TEST(Probabilities, OfWhatIsLeft) {
  const Row row = {0, kOut, static_cast<float>(std::log(3.0))};
  const auto p = probabilities(row);
  ASSERT_EQ(p.size(), 2u);
  EXPECT_EQ(p[1].id, 2);
  EXPECT_NEAR(p[0].value, 0.25, 1e-7);
  EXPECT_NEAR(p[1].value, 0.75, 1e-7);
  EXPECT_TRUE(probabilities(Row{kOut}).empty());
  EXPECT_TRUE(probabilities(Row{}).empty());
}

}  // namespace
}  // namespace lathe
