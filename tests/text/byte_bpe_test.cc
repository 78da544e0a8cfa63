#include "lathe/text/model/byte_bpe.h"

#include <gtest/gtest.h>

#include "lathe/base/error.h"
#include "text/random_text.h"
#include "text/reference_bpe.h"

namespace lathe {
namespace {

using testing::reference_encode;
using testing::small_model;
using Ids = std::vector<int32_t>;

Ids encode(const ByteBpe& model, std::string_view piece) {
  ByteBpe::Scratch scratch;
  Ids ids;
  model.encode(piece, scratch, ids);
  return ids;
}

// Merges of already made tokens over a small alphabet, so that many pairs compete.
ByteBpe random_model(testing::Dice& dice, size_t merges) {
  std::vector<std::string> tokens = {"a", "b", "c"};
  std::vector<std::pair<std::string, std::string>> list;
  for (size_t i = 0; i < merges; ++i) {
    const std::string left = tokens[dice.below(tokens.size())];
    const std::string right = tokens[dice.below(tokens.size())];
    list.emplace_back(left, right);
    tokens.push_back(left + right);
  }
  return small_model(list);
}

TEST(ByteBpe, MergesByRankThenFromTheLeft) {
  const ByteBpe model = small_model({{"b", "c"}, {"a", "b"}, {"a", "a"}, {"aa", "a"}});
  EXPECT_EQ(encode(model, "abc"), (Ids{'a', 256}));  // bc comes before ab
  EXPECT_EQ(encode(model, "ab"), (Ids{257}));
  EXPECT_EQ(encode(model, "aaa"), (Ids{259}));
  EXPECT_EQ(encode(model, "aaaa"), (Ids{258, 258}));
  EXPECT_EQ(encode(model, "aaaaa"), (Ids{258, 259}));
  EXPECT_EQ(encode(model, ""), Ids{});
}

TEST(ByteBpe, ALaterRankReplacesAnEarlierOne) {
  const ByteBpe model = small_model({{"a", "b"}, {"b", "c"}, {"a", "b"}});
  EXPECT_EQ(encode(model, "abc"), (Ids{'a', 257}));
  EXPECT_EQ(encode(model, "abc"), reference_encode(model, "abc"));
}

TEST(ByteBpe, ShortAndLongPiecesEqualTheDefinition) {
  testing::Dice dice(11);
  for (int round = 0; round < 60; ++round) {
    const ByteBpe model = random_model(dice, 1 + dice.below(40));
    for (size_t length : {2, 7, 31, 96, 127, 128, 129, 300}) {
      std::string piece;
      while (piece.size() < length) piece.append(1 + dice.below(4), "abc"[dice.below(3)]);
      piece.resize(length);
      ASSERT_EQ(encode(model, piece), reference_encode(model, piece)) << piece;
    }
  }
}

TEST(ByteBpe, WholeWordsAreThoseThatMergeIntoOneToken) {
  // "abc" is a token, but merging gives a + bc.
  const ByteBpe model = small_model({{"b", "c"}, {"a", "b"}, {"ab", "c"}});
  const auto whole = [&](std::string_view word) {
    const auto* p = reinterpret_cast<const uint8_t*>(word.data());
    return model.whole_word(word_key(p, word.size(), p + word.size()));
  };
  EXPECT_EQ(whole("abc"), -1);
  EXPECT_EQ(whole("bc"), 256);
  EXPECT_EQ(whole("ab"), 257);
  EXPECT_EQ(whole("a"), 'a');
  EXPECT_EQ(whole("ac"), -1);

  ByteBpeOptions options;
  options.ignore_merges = true;
  const ByteBpe ignoring = small_model({{"b", "c"}, {"a", "b"}, {"ab", "c"}}, options);
  EXPECT_EQ(encode(ignoring, "abc"), (Ids{258}));
  EXPECT_EQ(encode(model, "abc"), (Ids{'a', 256}));
}

TEST(ByteBpe, SharedRanksTakeTheLeftmostOfEqualResults) {
  // "a"+"aa" and "aa"+"a" both make "aaa". In a list one of them always wins; with shared ranks the
  // leftmost place does.
  ByteBpeOptions options;
  options.shared_ranks = true;
  const ByteBpe model = small_model({{"a", "a"}, {"a", "aa"}, {"aa", "a"}}, options);
  EXPECT_EQ(encode(model, "aaaaa"), (Ids{256, 257}));
  EXPECT_EQ(encode(model, "aaa"), (Ids{257}));
}

TEST(ByteBpe, LongPiecesAreNotQuadratic) {
  // 300,000 letters: the quadratic definition would take 10^10 steps.
  const ByteBpe model = small_model({{"a", "a"}, {"aa", "aa"}, {"a", "b"}, {"ab", "ab"}});
  EXPECT_EQ(encode(model, std::string(300000, 'a')).size(), 75000u);
  std::string alternating;
  for (int i = 0; i < 100000; ++i) alternating += "ab";
  EXPECT_EQ(encode(model, alternating).size(), 50000u);
  EXPECT_EQ(encode(model, std::string(100000, ' ')).size(), 100000u);
}

TEST(ByteBpe, BytesWithoutTokens) {
  const std::vector<VocabularyEntry> entries = {{0, "a", false}, {1, "?", false}};
  const ByteBpe strict(Vocabulary(entries, "test"), {}, {});
  EXPECT_THROW(encode(strict, "ab"), Error);
  ByteBpeOptions options;
  options.unknown = 1;
  const ByteBpe each(Vocabulary(entries, "test"), {}, options);
  EXPECT_EQ(encode(each, "abca"), (Ids{0, 1, 1, 0}));
  options.fuse_unknown = true;
  const ByteBpe fused(Vocabulary(entries, "test"), {}, options);
  EXPECT_EQ(encode(fused, "abca"), (Ids{0, 1, 0}));
}

TEST(ByteBpe, LongPiecesWithUnknownBytes) {
  ByteBpeOptions options;
  options.unknown = 'u';
  const ByteBpe model = small_model({{"b", "c"}, {"a", "b"}, {"ab", "ab"}}, options);
  std::string piece;
  while (piece.size() < 500) piece += "ababcaababc";
  EXPECT_EQ(encode(model, piece), reference_encode(model, piece));
}

TEST(Vocabulary, RefusesBadIds) {
  EXPECT_THROW(Vocabulary({{-1, "a", false}}, "test"), Error);
  EXPECT_THROW(Vocabulary({{Vocabulary::kMaxId + 1, "a", false}}, "test"), Error);
  EXPECT_THROW(Vocabulary({{0, "a", false}, {0, "b", false}}, "test"), Error);
  EXPECT_THROW(Vocabulary({{0, "a", false}, {1, "a", false}}, "test"), Error);
}

TEST(Vocabulary, GapsAndLiterals) {
  const Vocabulary v({{5, "ab", false}, {2, "\xE2\x96\x81", true}}, "test");
  EXPECT_EQ(v.size(), 6);
  EXPECT_EQ(v.count(), 2);
  EXPECT_TRUE(v.has(5) && v.has(2));
  EXPECT_FALSE(v.has(0) || v.has(6) || v.has(-1));
  EXPECT_EQ(v.bytes(5), "ab");
  EXPECT_EQ(v.find("ab"), 5);
  EXPECT_FALSE(v.find("\xE2\x96\x81").has_value());
  EXPECT_EQ(v.find_literal("\xE2\x96\x81"), 2);
}

}  // namespace
}  // namespace lathe
