#include "lathe/text/probing_table.h"

#include <gtest/gtest.h>

#include <map>

#include "text/random_text.h"

namespace lathe {
namespace {

struct Count {
  uint64_t key = 0;
  int value = 0;
  bool free() const { return key == 0; }
};

// Counts keys; grows when more than three quarters of the slots are taken.
template <HashBits kBits>
struct Counts {
  ProbingTable<Count, kBits> table{4};
  uint64_t (*hash_of)(uint64_t key);
  size_t used = 0;

  void add(uint64_t key) {
    Count& entry = table.find(hash_of(key), [key](const Count& c) { return c.key == key; });
    const bool is_new = entry.free();
    entry = {key, entry.value + 1};
    used += is_new;
    if (4 * used > 3 * table.slots().size())
      table.grow([this](const Count& c) { return hash_of(c.key); });
  }
  const Count& at(uint64_t key) const {
    return table.find(hash_of(key), [key](const Count& c) { return c.key == key; });
  }
};

template <HashBits kBits>
void expect_counts_as_a_map_does(uint64_t (*hash_of)(uint64_t)) {
  testing::Dice dice(7);
  Counts<kBits> counts{.hash_of = hash_of};
  std::map<uint64_t, int> wanted, listed;
  for (int i = 0; i < 3000; ++i) {
    const uint64_t key = 1 + dice.below(500);
    counts.add(key);
    ++wanted[key];
  }
  EXPECT_EQ(counts.used, wanted.size());
  for (uint64_t key = 1; key <= 600; ++key) {
    const auto at = wanted.find(key);
    ASSERT_EQ(counts.at(key).free(), at == wanted.end()) << key;
    ASSERT_EQ(counts.at(key).value, at == wanted.end() ? 0 : at->second) << key;
  }
  for (const Count& c : counts.table.slots()) {
    if (c.free()) continue;
    EXPECT_TRUE(listed.try_emplace(c.key, c.value).second) << c.key;
  }
  EXPECT_EQ(listed, wanted);
}

TEST(ProbingTable, CountsAsAMapDoes) {
  constexpr auto kSpread = [](uint64_t key) -> uint64_t { return key * 0x9E3779B97F4A7C15ull; };
  constexpr auto kCollide = [](uint64_t) -> uint64_t { return ~uint64_t{0}; };  // and wrap around
  constexpr auto kInOrder = [](uint64_t key) -> uint64_t { return key << 50 | key; };
  for (const auto hash_of :
       std::initializer_list<uint64_t (*)(uint64_t)>{kSpread, kCollide, kInOrder}) {
    expect_counts_as_a_map_does<HashBits::kLow>(hash_of);
    expect_counts_as_a_map_does<HashBits::kHigh>(hash_of);
  }
}

TEST(ProbingTable, ANewTableHoldsNothing) {
  const ProbingTable<Count> table;
  EXPECT_EQ(table.slots().size(), 2u);
  EXPECT_TRUE(table.find(12345, [](const Count&) { return true; }).free());
}

TEST(ProbingTable, AddKeepsWhatHasTheSameHash) {
  ProbingTable<Count> low(4);
  low.add(3, {1, 10});
  low.add(3, {2, 20});  // goes round to slot 0
  low.add(0, {3, 30});  // finds it taken
  ProbingTable<Count, HashBits::kHigh> high(4);
  high.add(uint64_t{3} << 62, {1, 10});
  high.add(uint64_t{3} << 62, {2, 20});
  high.add(3, {3, 30});
  for (const auto* slots : {&low.slots(), &high.slots()}) {
    EXPECT_EQ((*slots)[3].key, 1u);
    EXPECT_EQ((*slots)[0].key, 2u);
    EXPECT_EQ((*slots)[1].key, 3u);
    EXPECT_TRUE((*slots)[2].free());
  }
}

}  // namespace
}  // namespace lathe
