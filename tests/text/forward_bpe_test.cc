#include "lathe/text/model/forward_bpe.h"

#include <gtest/gtest.h>

#include "lathe/base/error.h"
#include "lathe/text/model/byte_bpe.h"
#include "text/random_text.h"
#include "text/reference_bpe.h"

namespace lathe {
namespace {

using testing::small_model;
using Ids = std::vector<int32_t>;
using Merges = std::vector<std::pair<std::string, std::string>>;

// No vocabulary here has more tokens that begin one another.
constexpr int64_t kStepsPerByte = 12;
// What a window of 128 bytes leaves behind it at least, where no token is longer than 16 bytes.
constexpr int64_t kBytesPerWindow = 128 - 8 - 16;

std::string text_of(testing::Dice& dice, size_t length, size_t longest_run) {
  std::string text;
  while (text.size() < length) text.append(1 + dice.below(longest_run), "abc"[dice.below(3)]);
  return text;
}

Merges random_merges(testing::Dice& dice, size_t count) {
  std::vector<std::string> tokens = {"a", "b", "c"};
  Merges merges;
  while (merges.size() < count) {
    const std::string left = tokens[dice.below(tokens.size())];
    const std::string right = tokens[dice.below(tokens.size())];
    if (left.size() + right.size() > 10) continue;
    merges.emplace_back(left, right);
    tokens.push_back(left + right);
  }
  return merges;
}

TEST(ForwardBpe, EqualsTheDefinitionOnRandomVocabularies) {
  testing::Dice dice(21);
  int closed = 0;
  for (int round = 0; round < 200; ++round) {
    const ByteBpe model = small_model(random_merges(dice, 1 + dice.below(30)));
    ByteBpe::Scratch scratch;
    for (size_t length : {1, 2, 9, 60}) {
      const std::string text = text_of(dice, length, 4);
      Ids ids = {7};  // what is there stays
      if (!model.merge_forward(text, scratch, ids)) {
        ++closed;
        break;
      }
      ids.erase(ids.begin());
      ASSERT_EQ(ids, testing::reference_encode(model, text)) << text;
    }
  }
  EXPECT_LT(closed, 150);  // random merges of a pair listed twice, or parts made late
  EXPECT_GT(closed, 0);
}

TEST(ForwardBpe, IsClosedToAVocabularyWithPartsMadeLate) {
  // "ab"+"c" comes before "a"+"b", which makes its part.
  std::vector<VocabularyEntry> entries;
  for (int b = 0; b < 256; ++b) entries.push_back({b, std::string(1, static_cast<char>(b)), false});
  entries.push_back({256, "ab", false});
  entries.push_back({257, "abc", false});
  const ByteBpe model(Vocabulary(entries, "test"), {{256, 'c', 257}, {'a', 'b', 256}}, {});
  ByteBpe::Scratch scratch;
  Ids ids;
  EXPECT_FALSE(model.merge_forward("abcab", scratch, ids));
  EXPECT_TRUE(ids.empty());
  std::string piece;
  for (int i = 0; i < 100; ++i) piece += "abcab";
  model.merge(piece, scratch, ids);
  EXPECT_EQ(ids, testing::reference_encode(model, piece));
}

TEST(ForwardBpe, AByteWithoutATokenIsAnError) {
  const ByteBpe model(Vocabulary({{0, "a", false}, {1, "aa", false}}, "test"), {{0, 0, 1}}, {});
  ByteBpe::Scratch scratch;
  Ids ids;
  EXPECT_THROW(model.merge_forward("aab", scratch, ids), Error);
  EXPECT_THROW(model.merge(std::string(500, 'a') + "b", scratch, ids), Error);
  ids.clear();
  model.merge(std::string(501, 'a'), scratch, ids);
  EXPECT_EQ(ids.size(), 251u);
}

// Merges of which each is undone by what follows the text.
const Merges kCascade = {{"a", "a"},       {"a", "b"},       {"b", "a"},
                         {"aa", "aa"},     {"ab", "ab"},     {"ba", "ba"},
                         {"aaaa", "aaaa"}, {"abab", "abab"}, {"aaaaaaaa", "b"}};

TEST(ForwardBpe, StepsGrowWithTheTextAndNotFaster) {
  const ByteBpe model = small_model(kCascade);
  testing::Dice dice(3);
  for (size_t n : {size_t{1000}, size_t{10000}, size_t{300000}}) {
    std::string alternating;
    while (alternating.size() < n) alternating += "ba";
    for (const std::string& text :
         {std::string(n, 'a'), std::string(n, ' '), alternating, text_of(dice, n, 30)}) {
      ByteBpe::Scratch scratch;
      Ids forward, whole;
      ASSERT_TRUE(model.merge_forward(text, scratch, forward));
      EXPECT_LE(scratch.forward.steps, kStepsPerByte * static_cast<int64_t>(text.size()));
      model.merge(text, scratch, whole);
      EXPECT_EQ(whole, forward);
    }
  }
}

TEST(MergeWindows, EqualTheDefinition) {
  testing::Dice dice(23);
  int open = 0;
  for (int round = 0; round < 60; ++round) {
    const ByteBpe model = small_model(random_merges(dice, 1 + dice.below(30)));
    ByteBpe::Scratch scratch;
    for (size_t length : {129, 250, 400}) {
      const std::string text = text_of(dice, length, round % 2 ? 2 : 60);
      Ids ids = {7};
      if (!model.merge_windows(text, scratch, ids)) continue;
      ++open;
      ids.erase(ids.begin());
      ASSERT_EQ(ids, testing::reference_encode(model, text)) << text;
    }
  }
  EXPECT_GT(open, 60);
}

TEST(MergeWindows, AreCutOffWhereWhatFollowsDecides) {
  // A merge at the end of a run of "ab" undoes all of them: no window sees what the text becomes.
  Merges merges = {{"b", "a"}, {"b", "c"}, {"a", "b"}};
  for (std::string b = "ba"; b.size() < 256; b += b) merges.emplace_back(b, b);
  const ByteBpe model = small_model(merges);
  std::string text = "a";
  while (text.size() < 700) text += "ba";
  text += "bc";
  ByteBpe::Scratch scratch;
  Ids ids = {7};
  EXPECT_FALSE(model.merge_windows(text, scratch, ids));
  EXPECT_EQ(ids, Ids{7});
  ids.clear();
  model.merge(text, scratch, ids);
  EXPECT_EQ(ids, testing::reference_encode(model, text));
}

TEST(MergeWindows, GoBackWhereTheyCannotBeJoined) {
  // Every letter goes with the next unless that is taken, the last first: where the alphabet is cut
  // off decides how all of it is paired.
  Merges merges;
  for (char c = 't'; c >= 'a'; --c) merges.emplace_back(std::string(1, c), std::string(1, c + 1));
  const ByteBpe model = small_model(merges);
  std::string text;
  testing::Dice dice(5);
  for (int i = 0; i < 400; ++i) text.append("abcdefghijklmnopqrstu").append(dice.below(7), 'v');
  ByteBpe::Scratch scratch;
  Ids ids;
  ASSERT_TRUE(model.merge_windows(text, scratch, ids));
  EXPECT_EQ(ids, testing::reference_encode(model, text));
  // Of tokens of two bytes a window that is joined leaves 119 bytes behind it: some were not.
  EXPECT_GT(scratch.windows, 2 + static_cast<int64_t>(text.size()) / 119);
}

TEST(MergeWindows, TheirNumberGrowsWithTheTextAndNotFaster) {
  const ByteBpe model = small_model({{"a", "b"}, {"b", "c"}, {"c", "a"}, {"ab", "c"}});
  testing::Dice dice(4);
  for (size_t n : {size_t{1000}, size_t{10000}, size_t{300000}}) {
    const std::string text = text_of(dice, n, 2);
    ByteBpe::Scratch scratch;
    Ids ids, forward;
    ASSERT_TRUE(model.merge_windows(text, scratch, ids));
    EXPECT_LE(scratch.windows, 2 + static_cast<int64_t>(text.size()) / kBytesPerWindow);
    ASSERT_TRUE(model.merge_forward(text, scratch, forward));
    EXPECT_EQ(ids, forward);
  }
}

}  // namespace
}  // namespace lathe
