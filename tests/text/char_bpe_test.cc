// Byte-pair encoding on characters against its definition, both by rank and by score.
#include "lathe/text/model/char_bpe.h"

#include <gtest/gtest.h>

#include <map>

#include "lathe/base/error.h"
#include "lathe/text/byte_tokens.h"
#include "text/random_text.h"
#include "text/reference_char_bpe.h"

namespace lathe {
namespace {

using Ids = std::vector<int32_t>;

using testing::reference_char_bpe;
using testing::Scored;
using testing::vocabulary_of;

Ids encode(const CharBpe& model, std::string_view text) {
  return testing::encode_alone(model, text);
}

Scored random_model(testing::Dice& dice, bool ties) {
  const std::vector<std::string> letters = {"a", "b", "c", "▁", "é", "中", "国"};
  Scored model{{"<unk>", "<s>"}, {0, 0}, {PieceRole::kNone, PieceRole::kNone}};
  std::map<std::string, bool> seen;
  const auto add = [&](const std::string& piece) {
    if (!seen.emplace(piece, true).second) return;
    const auto place = static_cast<float>(model.pieces.size());
    model.pieces.push_back(piece);
    model.scores.push_back(ties ? -static_cast<float>(dice.below(4)) : -place);
    model.roles.push_back(PieceRole::kNormal);
  };
  for (const std::string& letter : letters)
    if (dice.below(5) != 0) add(letter);  // some pieces hold letters that are no piece
  for (int i = 0; i < 25; ++i) {
    std::string piece;
    for (uint64_t n = 2 + dice.below(4); n > 0; --n) piece += letters[dice.below(letters.size())];
    add(piece);
  }
  return model;
}

TEST(CharBpe, ScoresGiveWhatTheRuleGives) {
  testing::Dice dice(7);
  const std::vector<std::string> letters = {"a", "b", "c", "▁", "é", "中", "国", "x"};
  for (int round = 0; round < 60; ++round) {
    const Scored scored = random_model(dice, round % 2 == 1);
    CharBpeOptions options;
    options.unknown = 0;
    options.fuse_unknown = true;
    const CharBpe model = CharBpe::by_score(vocabulary_of(scored.pieces), scored.scores,
                                            scored.roles, options, "test");
    for (int i = 0; i < 20; ++i) {
      std::string text;
      for (uint64_t n = dice.below(i == 0 ? 400 : 30); n > 0; --n)
        text += letters[dice.below(letters.size())];
      ASSERT_EQ(encode(model, text), reference_char_bpe(scored, text, 0)) << text;
      ASSERT_EQ(encode(model, text + text), reference_char_bpe(scored, text + text, 0))
          << "from memory";
    }
  }
}

// As Llama 2 has them: all runs of spaces have one score, and of these the leftmost comes first.
TEST(CharBpe, RunsOfOneCharacterHaveRanks) {
  Scored scored{{"<unk>", "a", "▁", "▁a"},
                {0, -5, -9, -1},
                {PieceRole::kNone, PieceRole::kNormal, PieceRole::kNormal, PieceRole::kNormal}};
  const auto model_with = [&](size_t longest) {
    Scored all = scored;
    for (size_t n = longest; n > 1; --n) {
      std::string run;
      for (size_t i = 0; i < n; ++i) run += "▁";
      all.pieces.push_back(run);
      all.scores.push_back(-9);
      all.roles.push_back(PieceRole::kNormal);
    }
    return all;
  };
  for (const auto& [longest, ranks] : {std::pair(16, true), {15, false}, {2, true}, {12, false}}) {
    const Scored all = model_with(static_cast<size_t>(longest));
    const CharBpe model =
        CharBpe::by_score(vocabulary_of(all.pieces), all.scores, all.roles, {.unknown = 0}, "test");
    EXPECT_EQ(model.has_ranks(), ranks) << longest;
    const CharBpe by_rank(vocabulary_of(all.pieces), model.merges(), {.unknown = 0});
    std::string text = "a";
    for (int n = 1; n < 70; ++n) {
      text += "▁";
      ASSERT_EQ(encode(model, text), reference_char_bpe(all, text, 0)) << n;
      ASSERT_EQ(encode(model, text + "a"), reference_char_bpe(all, text + "a", 0)) << n;
      if (ranks) {
        ASSERT_EQ(encode(by_rank, text + "a"), reference_char_bpe(all, text + "a", 0)) << n;
      }
    }
  }
}

TEST(CharBpe, UnusedPiecesAreTakenApart) {
  const Scored scored{{"<unk>", "a", "b", "c", "ab", "abc"},
                      {0, -5, -6, -7, -1, -2},
                      {PieceRole::kNone, PieceRole::kNormal, PieceRole::kNormal, PieceRole::kNormal,
                       PieceRole::kUnused, PieceRole::kNormal}};
  CharBpeOptions options;
  options.unknown = 0;
  const CharBpe model =
      CharBpe::by_score(vocabulary_of(scored.pieces), scored.scores, scored.roles, options, "test");
  EXPECT_EQ(encode(model, "abcab"), (Ids{5, 1, 2}));
}

TEST(CharBpe, CharactersWithoutATokenFallBackToTheirBytes) {
  std::vector<std::string> pieces = {"<unk>", "a"};
  for (int b = 0; b < 256; ++b) pieces.push_back(byte_token(static_cast<uint8_t>(b)));
  CharBpeOptions options;
  options.unknown = 0;
  options.fuse_unknown = true;
  options.byte_fallback = true;
  const CharBpe model(vocabulary_of(pieces), {}, options);
  EXPECT_EQ(encode(model, "aé\xFF"), (Ids{1, 2 + 0xC3, 2 + 0xA9, 2 + 0xFF}));
  pieces.resize(2 + 0xC4);  // bytes above 0xC3 have none
  const CharBpe half(vocabulary_of(pieces), {}, options);
  EXPECT_EQ(encode(half, "aé\xFF"), (Ids{1, 2 + 0xC3, 2 + 0xA9, 0}));
}

TEST(CharBpe, AffixesArePartOfTheSpelling) {
  CharBpeOptions options;
  options.continuing_prefix = "##";
  options.word_end = "</w>";
  const std::vector<std::string> pieces = {"a", "##a", "##a</w>", "a</w>", "a##a", "aa"};
  const CharBpe model(vocabulary_of(pieces), {{0, 1, 5}}, options);
  EXPECT_EQ(encode(model, "a"), (Ids{3}));
  EXPECT_EQ(encode(model, "aa"), (Ids{0, 2}));
  EXPECT_EQ(encode(model, "aaaa"), (Ids{5, 1, 2}));
}

TEST(CharBpe, RefusesPiecesThatTakeForever) {
  const std::vector<std::string> pieces = {"a", std::string(5000, 'a')};
  const std::vector<PieceRole> roles(2, PieceRole::kNormal);
  EXPECT_THROW(CharBpe::by_score(vocabulary_of(pieces), std::vector<float>{0, 0}, roles, {}, "t"),
               Error);
}

TEST(CharBpe, SaysWhatHasNoToken) {
  const CharBpe model(vocabulary_of({"a"}), {}, {});
  try {
    encode(model, "aé");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("'é' has no token"), std::string::npos) << e.what();
  }
}

TEST(CharBpe, DropoutRunsFromMergingToCharacters) {
  const Scored scored{{"<unk>", "a", "b", "ab", "abab"},
                      {0, -5, -6, -1, -2},
                      {PieceRole::kNone, PieceRole::kNormal, PieceRole::kNormal, PieceRole::kNormal,
                       PieceRole::kNormal}};
  const CharBpe model = CharBpe::by_score(vocabulary_of(scored.pieces), scored.scores, scored.roles,
                                          {.unknown = 0}, "test");
  const Rng rng(3);
  EXPECT_EQ(model.encode_with_dropout("abab", 0, rng), (Ids{4}));
  EXPECT_EQ(model.encode_with_dropout("abab", 1, rng), (Ids{1, 2, 1, 2}));
  // The first merge of "ab" is made unless it is passed over: probability 1 - p.
  int whole = 0;
  for (uint64_t i = 0; i < 4000; ++i)
    whole += model.encode_with_dropout("ab", 0.3, rng.fork(i)).size() == 1;
  EXPECT_NEAR(whole / 4000.0, 0.7, 0.03);
}

}  // namespace
}  // namespace lathe
