#include "lathe/infer/prefix_index.h"

#include <gtest/gtest.h>

#include "lathe/base/error.h"

namespace lathe::testing {
namespace {

using Tokens = std::vector<int32_t>;

// The blocks of the first group on the chain that is found.
Tokens blocks_found(const PrefixIndex& index, const Tokens& tokens) {
  Tokens blocks;
  for (const auto& link : index.find(tokens)) blocks.push_back(index.at(link)->blocks[0]);
  return blocks;
}

TEST(PrefixIndex, FindsTheLongestChainOfWholeBlocks) {
  PrefixIndex index(2, 1);
  const auto first = index.add({}, Tokens{1, 2}, Tokens{10});
  const auto second = index.add(*first, Tokens{3, 4}, Tokens{11});
  index.add(*first, Tokens{5, 6}, Tokens{12});
  EXPECT_EQ(blocks_found(index, {1, 2, 3, 4, 7}), (Tokens{10, 11}));
  EXPECT_EQ(blocks_found(index, {1, 2, 5, 6}), (Tokens{10, 12}));
  EXPECT_EQ(blocks_found(index, {1, 2, 3}), (Tokens{10}));
  EXPECT_EQ(blocks_found(index, {3, 4}), Tokens{});  // not at the beginning
  // What is there already stays; the new block is not findable.
  EXPECT_EQ(index.add({}, Tokens{1, 2}, Tokens{20})->serial, first->serial);
  EXPECT_TRUE(index.has(0, 10));
  EXPECT_FALSE(index.has(0, 20));
  EXPECT_EQ(index.at(*second)->tokens, (Tokens{3, 4}));
}

TEST(PrefixIndex, AHashIsNotTrusted) {
  PrefixIndex index(1, 1, [](uint64_t, std::span<const int32_t>) { return uint64_t{7}; });
  const auto one = index.add({}, Tokens{1}, Tokens{0});
  ASSERT_TRUE(one.has_value());
  EXPECT_FALSE(index.add({}, Tokens{2}, Tokens{1}).has_value());
  EXPECT_FALSE(index.add(*one, Tokens{1}, Tokens{1}).has_value());
  EXPECT_EQ(blocks_found(index, {2}), Tokens{});
  EXPECT_EQ(blocks_found(index, {1, 1}), Tokens{0});  // the second is another block
}

TEST(PrefixIndex, WhatIsForgottenIsNotFoundAndItsChildrenAreNotEither) {
  PrefixIndex index(1, 2);
  const auto one = index.add({}, Tokens{1}, Tokens{0, 5});
  index.add(*one, Tokens{2}, Tokens{1, 6});
  index.forget(1, 5);
  EXPECT_EQ(index.at(*one)->blocks, (Tokens{0, PrefixIndex::kAbsent}));
  EXPECT_EQ(index.find(Tokens{1, 2}).size(), 2u);
  index.forget(0, 0);
  EXPECT_TRUE(index.find(Tokens{1, 2}).empty());
  EXPECT_EQ(index.size(), 1u);
  // An equal entry made later is another one: the child's keys may differ.
  const auto again = index.add({}, Tokens{1}, Tokens{3, 3});
  EXPECT_NE(again->serial, one->serial);
  EXPECT_EQ(index.find(Tokens{1, 2}).size(), 1u);
  EXPECT_TRUE(index.has(0, 1));
  EXPECT_TRUE(index.add(*again, Tokens{2}, Tokens{4, 4}).has_value());  // takes the child's place
  EXPECT_FALSE(index.has(0, 1));
  EXPECT_EQ(blocks_found(index, {1, 2}), (Tokens{3, 4}));
  index.forget(0, 9);  // nobody's
}

TEST(PrefixIndex, RefusesOtherSizes) {
  PrefixIndex index(2, 1);
  EXPECT_THROW(index.add({}, Tokens{1}, Tokens{0}), Error);
  EXPECT_THROW(index.add({}, Tokens{1, 2}, Tokens{}), Error);
}

TEST(PrefixIndex, ChainsOfDifferentRootsNeverMeet) {
  EXPECT_EQ(PrefixIndex::root("").serial, 0u);
  EXPECT_TRUE(PrefixIndex::is_root(0));
  const auto a = PrefixIndex::root("a"), b = PrefixIndex::root("b");
  EXPECT_TRUE(PrefixIndex::is_root(a.serial) && PrefixIndex::is_root(b.serial));
  EXPECT_EQ(a.serial, PrefixIndex::root("a").serial);
  // Also where all hashes are equal.
  for (const bool collide : {false, true}) {
    PrefixIndex index(
        1, 1,
        collide
            ? [](uint64_t parent,
                 std::span<const int32_t>
                     t) { return parent > 9 ? uint64_t{5} : parent + static_cast<uint64_t>(t[0]); }
            : PrefixIndex::Hash());
    const auto one = index.add(a, Tokens{1}, Tokens{0});
    ASSERT_TRUE(one.has_value());
    EXPECT_FALSE(PrefixIndex::is_root(one->serial));
    EXPECT_EQ(index.find(Tokens{1}, a).size(), 1u);
    EXPECT_TRUE(index.find(Tokens{1}, b).empty());
    EXPECT_TRUE(index.find(Tokens{1}).empty());
    EXPECT_EQ(index.add(b, Tokens{1}, Tokens{1}).has_value(), !collide);
    EXPECT_EQ(index.find(Tokens{1}, a).size(), 1u);
    index.forget(0, 0);
    EXPECT_TRUE(index.find(Tokens{1}, a).empty());
  }
}

}  // namespace
}  // namespace lathe::testing
