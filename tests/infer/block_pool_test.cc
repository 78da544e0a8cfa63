#include "lathe/infer/block_pool.h"

#include <gtest/gtest.h>

#include <map>

#include "lathe/base/error.h"
#include "lathe/base/rng.h"

namespace lathe::testing {
namespace {

TEST(BlockPool, GivesFreeBlocksFirstAndThenTheLeastRecentlyReleased) {
  std::vector<int32_t> evicted;
  BlockPool pool(3, [&](int32_t block) { evicted.push_back(block); });
  EXPECT_EQ(pool.take(), 0);
  EXPECT_EQ(pool.take(), 1);
  EXPECT_EQ(pool.take(), 2);
  EXPECT_EQ(pool.take(), std::nullopt);
  pool.release(1, true);
  pool.release(0, true);
  pool.release(2, false);
  EXPECT_EQ(pool.held(), 0);
  EXPECT_EQ(pool.kept(), 2);
  EXPECT_EQ(pool.take(), 2);  // free
  EXPECT_TRUE(evicted.empty());
  EXPECT_EQ(pool.take(), 1);
  EXPECT_EQ(evicted, std::vector<int32_t>{1});
  pool.hold(0);  // found before it was evicted
  EXPECT_EQ(pool.take(), std::nullopt);
  EXPECT_EQ(pool.available(), 0);
}

TEST(BlockPool, ABlockIsGivenBackByItsLastHolder) {
  BlockPool pool(1);
  const int32_t block = *pool.take();
  pool.hold(block);
  EXPECT_EQ(pool.holders(block), 2);
  pool.release(block, false);
  EXPECT_EQ(pool.take(), std::nullopt);
  pool.release(block, false);
  EXPECT_EQ(pool.take(), block);
}

TEST(BlockPool, RefusesWhatWouldLoseABlock) {
  BlockPool pool(2);
  EXPECT_THROW(pool.release(0, false), Error);
  EXPECT_THROW(pool.hold(1), Error);  // free: its content is nobody's
  const int32_t block = *pool.take();
  pool.release(block, false);
  EXPECT_THROW(pool.release(block, false), Error);
}

// Against a model that remembers who holds what.
TEST(BlockPool, NoBlockIsLostOrHeldTwiceInRandomUse) {
  std::map<int32_t, int> holders;
  std::map<int32_t, bool> kept;
  BlockPool pool(7, [&](int32_t block) { EXPECT_EQ(kept.erase(block), 1u); });
  for (uint64_t i = 0; i < 5000; ++i) {
    const Rng draw = Rng(3).fork(i);
    const auto pick = [&](const auto& of) {
      return std::next(of.begin(), static_cast<int64_t>(draw.below(1, of.size())))->first;
    };
    switch (draw.below(0, 4)) {
      case 0:
        if (const auto block = pool.take()) {
          EXPECT_FALSE(holders.contains(*block) || kept.contains(*block));
          holders[*block] = 1;
        } else {
          EXPECT_EQ(holders.size(), 7u);
        }
        break;
      case 1:
        if (!holders.empty()) {
          const int32_t block = pick(holders);
          pool.hold(block);
          ++holders[block];
        }
        break;
      case 2:
        if (!kept.empty()) {
          const int32_t block = pick(kept);
          pool.hold(block);
          kept.erase(block);
          holders[block] = 1;
        }
        break;
      default:
        if (!holders.empty()) {
          const int32_t block = pick(holders);
          const bool findable = draw.below(2, 2) == 1;
          pool.release(block, findable);
          if (--holders[block] > 0) break;
          holders.erase(block);
          if (findable) kept[block] = true;
        }
    }
    ASSERT_EQ(pool.held(), std::ssize(holders));
    ASSERT_EQ(pool.kept(), std::ssize(kept));
    for (const auto& [block, count] : holders) ASSERT_EQ(pool.holders(block), count);
  }
}

}  // namespace
}  // namespace lathe::testing
