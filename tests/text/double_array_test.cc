#include "lathe/text/double_array.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "lathe/base/error.h"
#include "text/random_text.h"

namespace lathe {
namespace {

using Keys = std::map<std::string, int32_t>;

DoubleArray built(const Keys& keys, DoubleArray::Shared shared = DoubleArray::Shared::kNothing) {
  std::vector<DoubleArray::Entry> entries;
  for (const auto& [key, value] : keys) entries.push_back({key, value});
  return DoubleArray::build(entries, shared);
}

using Prefixes = std::vector<std::pair<size_t, int32_t>>;

Prefixes prefixes_of(const DoubleArray& trie, std::string_view text) {
  Prefixes found;
  trie.for_each_prefix(as_bytes(text), as_bytes(text) + text.size(),
                       [&](size_t length, int32_t value) { found.emplace_back(length, value); });
  return found;
}

Prefixes prefixes_of(const Keys& keys, const std::string& text) {
  Prefixes found;
  for (size_t n = 1; n <= text.size(); ++n)
    if (const auto at = keys.find(text.substr(0, n)); at != keys.end())
      found.emplace_back(n, at->second);
  return found;
}

std::string random_key(testing::Dice& dice, uint64_t alphabet, uint64_t longest) {
  std::string key;
  for (uint64_t n = 1 + dice.below(longest); n > 0; --n)
    key += static_cast<char>(1 + dice.below(alphabet));
  return key;
}

void expect_same(const Keys& keys, testing::Dice& dice, uint64_t alphabet, uint64_t longest,
                 DoubleArray::Shared shared = DoubleArray::Shared::kNothing) {
  const DoubleArray trie = built(keys, shared);
  for (const auto& [key, value] : keys) {
    ASSERT_EQ(trie.find(key), value);
    ASSERT_EQ(prefixes_of(trie, key + "x"), prefixes_of(keys, key + "x"));
  }
  for (int i = 0; i < 500; ++i) {
    std::string text = random_key(dice, alphabet, longest) + random_key(dice, alphabet, longest);
    if (dice.below(4) == 0) text[dice.below(text.size())] = '\0';
    const auto at = keys.find(text);
    ASSERT_EQ(trie.find(text), at == keys.end() ? DoubleArray::kNone : at->second);
    ASSERT_EQ(prefixes_of(trie, text), prefixes_of(keys, text));
  }
}

TEST(DoubleArray, FindsWhatAMapFinds) {
  testing::Dice dice(1);
  for (int round = 0; round < 60; ++round) {
    const uint64_t alphabet = round % 3 == 0 ? 255 : 1 + dice.below(6), longest = 1 + dice.below(9);
    Keys keys;
    for (uint64_t n = 1 + dice.below(400); n > 0; --n)
      keys[random_key(dice, alphabet, longest)] = static_cast<int32_t>(dice.below(1u << 31));
    expect_same(keys, dice, alphabet, longest);
  }
}

TEST(DoubleArray, SharedTailsChangeNothingButTheSize) {
  testing::Dice dice(4);
  for (int round = 0; round < 40; ++round) {
    Keys keys;
    for (uint64_t n = 1 + dice.below(600); n > 0; --n)
      keys[random_key(dice, 3, 9)] = static_cast<int32_t>(dice.below(3));
    expect_same(keys, dice, 3, 9, DoubleArray::Shared::kTails);
  }
  Keys keys;  // 60,000 nodes, 40 of them different
  for (int i = 0; i < 3000; ++i) keys[fmt::format("{:04}-and-the-same-tail", i)] = 7;
  EXPECT_GT(built(keys).units().size(), 60000u);
  EXPECT_LT(built(keys, DoubleArray::Shared::kTails).units().size(), 4000u);
}

TEST(DoubleArray, ManyKeysOfManyLengths) {
  testing::Dice dice(2);
  Keys keys;
  for (int32_t i = 0; i < 60000; ++i) keys[random_key(dice, 40, 12)] = i;
  for (int32_t c = 1; c < 256; ++c) keys[std::string(1, static_cast<char>(c))] = c;
  keys[std::string(5000, 'a')] = 7;
  expect_same(keys, dice, 40, 12);
}

TEST(DoubleArray, EmptyTextAndEmptyTrie) {
  const DoubleArray trie = built({{"a", 0}, {"ab", 1}});
  EXPECT_EQ(trie.find(""), DoubleArray::kNone);
  EXPECT_EQ(trie.find("a"), 0);
  EXPECT_EQ(trie.find("b"), DoubleArray::kNone);
  EXPECT_TRUE(prefixes_of(trie, "").empty());
  for (const DoubleArray& none : {DoubleArray(), built({})}) {
    EXPECT_TRUE(none.empty());
    EXPECT_EQ(none.find("a"), DoubleArray::kNone);
    EXPECT_TRUE(prefixes_of(none, "a").empty());
  }
}

TEST(DoubleArray, RefusesWhatItCannotHold) {
  using Entries = std::vector<DoubleArray::Entry>;
  for (const Entries& entries :
       {Entries{{"", 0}}, Entries{{std::string_view("a\0b", 3), 0}}, Entries{{"a", -1}},
        Entries{{"a", 0}, {"a", 1}}, Entries{{"b", 0}, {"a", 1}}})
    EXPECT_THROW(DoubleArray::build(entries), Error);
}

TEST(DoubleArray, ForeignUnitsNeverLeadOutside) {
  testing::Dice dice(3);
  for (int round = 0; round < 3000; ++round) {
    std::vector<uint32_t> units(1 + dice.below(300));
    for (uint32_t& unit : units) unit = static_cast<uint32_t>(dice.below(uint64_t{1} << 32));
    const DoubleArray trie(std::move(units));
    const std::string text = testing::random_bytes(dice, 40);
    for (const auto& [length, value] : prefixes_of(trie, text)) {
      EXPECT_LE(length, text.size());
      EXPECT_GE(value, 0);
    }
  }
  // A unit that leads to itself: as many steps as the text has bytes, no more.
  std::vector<uint32_t> circle(256, 0);
  circle['a'] = 'a' | 1u << 8 | ('a' << 10);
  EXPECT_EQ(prefixes_of(DoubleArray(circle), std::string(50, 'a')).size(), 50u);
}

}  // namespace
}  // namespace lathe
