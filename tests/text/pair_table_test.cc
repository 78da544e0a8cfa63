#include "lathe/text/model/pair_table.h"

#include <gtest/gtest.h>

#include <map>

#include "text/random_text.h"

namespace lathe {
namespace {

using Pair = std::pair<int32_t, int32_t>;

std::map<Pair, int32_t> entries_of(const PairTable& table) {
  std::map<Pair, int32_t> all;
  table.for_each([&](int32_t left, int32_t right, int32_t rank) {
    EXPECT_TRUE(all.try_emplace({left, right}, rank).second);
  });
  return all;
}

TEST(PairTable, HoldsWhatWasPutIn) {
  testing::Dice dice(51);
  for (size_t count : {0, 1, 2, 3, 100, 20000}) {
    // Far too small, just full and roomy: the table grows where it must.
    for (size_t expected : {size_t{0}, count, 4 * count}) {
      PairTable table(expected);
      std::map<Pair, int32_t> wanted;
      for (size_t i = 0; i < count; ++i) {
        const Pair pair(static_cast<int32_t>(dice.below(300)),
                        static_cast<int32_t>(dice.below(300)));
        const auto rank = static_cast<int32_t>(dice.below(PairTable::kMaxRank + 1));
        table.set(pair.first, pair.second, rank);
        wanted[pair] = rank;  // the later one counts
      }
      EXPECT_EQ(entries_of(table), wanted);
      for (int32_t left = 0; left < 300; ++left)
        for (int32_t right = 0; right < 300; ++right) {
          const auto at = wanted.find({left, right});
          ASSERT_EQ(table.rank(left, right), at == wanted.end() ? PairTable::kNoRank : at->second);
        }
    }
  }
}

TEST(PairTable, TheGreatestIds) {
  PairTable table(1);
  table.set(PairTable::kMaxId, PairTable::kMaxId, PairTable::kMaxRank);
  table.set(0, 0, 0);
  EXPECT_EQ(table.rank(PairTable::kMaxId, PairTable::kMaxId), PairTable::kMaxRank);
  EXPECT_EQ(table.rank(0, 0), 0);
  EXPECT_EQ(table.rank(0, PairTable::kMaxId), PairTable::kNoRank);
}

}  // namespace
}  // namespace lathe
