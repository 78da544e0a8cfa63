#include "lathe/text/train/piece_lattice.h"

#include <gtest/gtest.h>

#include <map>

#include "text/random_text.h"
#include "text/reference_training.h"

namespace lathe {
namespace {

using testing::PieceScores;

PieceModel model_of(const PieceScores& scores) {
  std::vector<std::string_view> pieces;
  std::vector<double> values;
  for (const auto& [piece, score] : scores) {
    pieces.push_back(piece);
    values.push_back(score);
  }
  PieceModel model(std::move(pieces));
  model.set_scores(std::move(values));
  return model;
}

PieceScores random_scores(testing::Dice& dice) {
  PieceScores scores;
  for (uint64_t i = 0; i < 3 + dice.below(30); ++i) {
    std::string piece;
    for (uint64_t n = 0; n < 1 + dice.below(4); ++n)
      piece += static_cast<char>('a' + dice.below(3));
    scores[piece] = -0.1 - static_cast<double>(dice.below(1000)) / 100;
  }
  return scores;
}

TEST(PieceTrie, FindsExactlyItsPieces) {
  testing::Dice dice(3);
  std::map<std::string, int32_t> ids;
  for (int i = 0; i < 3000; ++i) ids.emplace(testing::random_bytes(dice, 1 + dice.below(4)), 0);
  std::vector<std::string_view> pieces;
  for (auto& [text, id] : ids) {
    id = static_cast<int32_t>(pieces.size());
    pieces.push_back(text);
  }
  const PieceTrie trie(pieces);
  const auto find = [&](std::string_view text) {
    int32_t node = PieceTrie::kRoot;
    for (size_t i = 0; i < text.size() && node != PieceTrie::kNone; ++i)
      node = trie.child(node, static_cast<uint8_t>(text[i]));
    return node == PieceTrie::kNone ? PieceTrie::kNone : trie.piece(node);
  };
  for (const auto& [text, id] : ids) EXPECT_EQ(find(text), id);
  for (int i = 0; i < 20000; ++i) {
    const std::string text = testing::random_bytes(dice, 1 + dice.below(5));
    const auto known = ids.find(text);
    EXPECT_EQ(find(text), known == ids.end() ? PieceTrie::kNone : known->second);
  }
  EXPECT_EQ(PieceTrie(std::span<const std::string_view>()).child(PieceTrie::kRoot, 'a'),
            PieceTrie::kNone);
}

TEST(PieceLattice, EqualsTheSumOverAllSegmentations) {
  testing::Dice dice(5);
  for (int round = 0; round < 200; ++round) {
    const PieceScores scores = random_scores(dice);
    const PieceModel model = model_of(scores);
    const double unknown = model.min_score() - PieceModel::kUnknownPenalty;
    PieceLattice lattice(model);
    std::string word;
    for (uint64_t n = 0; n < 1 + dice.below(9); ++n) word += static_cast<char>('a' + dice.below(4));
    lattice.set_word(word);
    std::map<std::string, double> got;
    lattice.for_each_posterior([&](int32_t piece, double posterior) {
      got[std::string(model.pieces()[piece])] += posterior;
    });
    const auto want = testing::reference_expected(word, scores, unknown);
    ASSERT_EQ(got.size(), want.size()) << word;
    for (const auto& [piece, expected] : want) EXPECT_NEAR(got[piece], expected, 1e-12);
    for (const bool split : {false, true}) {
      const auto path = lattice.best(split);
      EXPECT_NEAR(std::max(lattice.best_score(), -1e9),
                  std::max(testing::reference_best(word, scores, unknown, split), -1e9), 1e-9);
      std::string joined;
      for (const int32_t piece : path)
        joined += piece < 0 ? "?" : std::string(model.pieces()[piece]);
      EXPECT_EQ(joined.size(), path.empty() ? 0 : word.size());
    }
  }
}

TEST(PieceLattice, LongWordsDoNotUnderflow) {
  const PieceModel model = model_of({{"a", -20.0}, {"aa", -39.0}});
  PieceLattice lattice(model);
  lattice.set_word(std::string(3000, 'a'));
  double ones = 0, twos = 0;
  lattice.for_each_posterior([&](int32_t piece, double posterior) {
    ASSERT_GE(posterior, 0);
    ASSERT_LE(posterior, 1 + 1e-9);
    (piece == 0 ? ones : twos) += posterior;
  });
  EXPECT_NEAR(ones + 2 * twos, 3000, 1e-4);
  EXPECT_GT(twos, ones);
}

TEST(PieceLattice, DeadPiecesAndUnknownCharacters) {
  PieceModel model({"a", "ab", "\xC3\xA9"});
  model.set_scores({-1, -INFINITY, -2});
  EXPECT_EQ(model.alive(), 2);
  PieceLattice lattice(model);
  lattice.set_word("ab\xC3\xA9\xE4\xB8\xAD");
  EXPECT_EQ(lattice.best(), (std::vector<int32_t>{0, -1, 2, -1}));
  EXPECT_DOUBLE_EQ(lattice.best_score(), -1 - 12 - 2 - 12);
}

}  // namespace
}  // namespace lathe
