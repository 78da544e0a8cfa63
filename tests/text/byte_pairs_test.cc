#include "lathe/text/model/byte_pairs.h"

#include <gtest/gtest.h>

#include "text/random_text.h"
#include "text/reference_bpe.h"

namespace lathe {
namespace {

using testing::small_model;
using Ids = std::vector<int32_t>;
using Merges = std::vector<std::pair<std::string, std::string>>;

constexpr int32_t kUnknown = PairMerger::kUnknownRank, kNone = PairTable::kNoRank;

struct Start {
  Ids ids, ranks;  // ranks: with the token before
};

Start start(const ByteBpe& model, std::string_view piece) {
  BytePairs::ByteIds byte_ids;
  for (int32_t b = 0; b < 256; ++b) byte_ids[static_cast<size_t>(b)] = b;
  PairTable pairs;
  const std::vector<Merge>& merges = model.merges();
  for (size_t rank = 0; rank < merges.size(); ++rank)
    pairs.set(merges[rank].left, merges[rank].right, static_cast<int32_t>(rank));
  const BytePairs made(model.vocabulary(), byte_ids, pairs,
                       [&](int32_t rank) { return merges[static_cast<size_t>(rank)].result; });
  Start s{Ids(piece.size()), Ids(piece.size())};
  const size_t count = made.merge(piece, byte_ids, s.ids.data(), s.ranks.data());
  s.ids.resize(count);
  s.ranks.resize(count);
  if (count > 0) s.ranks[0] = kUnknown;  // there is none before it
  return s;
}

TEST(BytePairs, MergesWhatComesBeforeItsNeighbours) {
  const ByteBpe model = small_model({{"b", "c"}, {"a", "b"}, {"d", "e"}});
  EXPECT_EQ(start(model, "abcx").ids, (Ids{'a', 256, 'x'}));  // bc comes before ab
  EXPECT_EQ(start(model, "abde").ids, (Ids{257, 258}));
  EXPECT_EQ(start(model, "ab").ids, (Ids{257}));
  EXPECT_EQ(start(model, "b").ids, (Ids{'b'}));
  EXPECT_EQ(start(model, "").ids, (Ids{}));
}

TEST(BytePairs, LeavesWhatALongerTokenMayTake) {
  // Between a and b stands "a" + "bc", which comes before "xa".
  const ByteBpe model = small_model({{"b", "c"}, {"a", "bc"}, {"x", "a"}});
  EXPECT_EQ(start(model, "xab").ids, (Ids{'x', 'a', 'b'}));
  EXPECT_EQ(start(model, "xad").ids, (Ids{258, 'd'}));
  EXPECT_EQ(start(model, "xabc").ids, (Ids{'x', 'a', 256}));
}

TEST(BytePairs, LeavesEqualRanksToTheirOrder) {
  const ByteBpe model = small_model({{"a", "a"}});
  EXPECT_EQ(start(model, "aaa").ids, (Ids{'a', 'a', 'a'}));
  EXPECT_EQ(start(model, "baab").ids, (Ids{'b', 256, 'b'}));
}

TEST(BytePairs, TellsTheRanksOfBytesThatStay) {
  const ByteBpe model = small_model({{"b", "c"}, {"a", "bc"}, {"x", "a"}});
  EXPECT_EQ(start(model, "xabc").ranks, (Ids{kUnknown, 2, kUnknown}));
  EXPECT_EQ(start(model, "xab").ranks, (Ids{kUnknown, 2, kNone}));
  EXPECT_EQ(start(model, "bcbc").ranks, (Ids{kUnknown, kUnknown}));
  EXPECT_EQ(start(model, "bcx").ranks, (Ids{kUnknown, kUnknown}));
}

TEST(BytePairs, TheRestOfTheMergesGivesTheDefinition) {
  constexpr std::string_view kLetters = "abcdefgh";
  testing::Dice dice(31);
  size_t merged = 0, bytes = 0;
  for (int round = 0; round < 100; ++round) {
    std::vector<std::string> tokens;
    for (char c : kLetters) tokens.emplace_back(1, c);
    Merges merges;
    for (size_t i = 0, count = 1 + dice.below(120); i < count; ++i) {
      merges.emplace_back(tokens[dice.below(tokens.size())], tokens[dice.below(tokens.size())]);
      tokens.push_back(merges.back().first + merges.back().second);
    }
    const ByteBpe model = small_model(merges);
    for (size_t length : {2, 3, 5, 17, 128, 200}) {
      std::string text;
      while (text.size() < length) text += kLetters[dice.below(kLetters.size())];
      ByteBpe::Scratch scratch;
      Ids ids;
      model.encode(text, scratch, ids);
      ASSERT_EQ(ids, testing::reference_encode(model, text)) << text;
      bytes += length;
      merged += length - start(model, text).ids.size();
    }
  }
  EXPECT_GT(merged * 20, bytes);  // it was put to the test
}

}  // namespace
}  // namespace lathe
