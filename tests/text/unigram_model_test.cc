#include "lathe/text/model/unigram_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "lathe/base/error.h"
#include "lathe/text/split/pretokenizer.h"
#include "text/random_text.h"
#include "text/reference_unigram.h"

namespace lathe {
namespace {

using testing::UnigramPieces;
using Ids = std::vector<int32_t>;

Ids encoded(TextEncoder& encoder, std::string_view text) {
  Ids ids;
  encoder.encode(text, 0, {}, ids);
  return ids;
}

UnigramPieces random_pieces(testing::Dice& dice, const std::vector<std::string>& alphabet,
                            UnigramArithmetic arithmetic) {
  UnigramPieces pieces{{"<unk>", 0, UnigramPiece::Role::kUnmatched}};
  std::map<std::string, bool> seen;
  for (uint64_t n = 1 + dice.below(40); n > 0; --n) {
    std::string text;
    for (uint64_t k = 1 + dice.below(5); k > 0; --k) text += alphabet[dice.below(alphabet.size())];
    if (seen[text]) continue;
    seen[text] = true;
    const double score = dice.below(2) == 0 ? -static_cast<double>(1 + dice.below(6))
                                            : -static_cast<double>(dice.below(1u << 20)) / 65536;
    pieces.push_back({text, static_cast<float>(score),
                      dice.below(12) == 0 && arithmetic == UnigramArithmetic::kFloatThroughText
                          ? UnigramPiece::Role::kUserDefined
                          : UnigramPiece::Role::kNormal});
  }
  return pieces;
}

const std::vector<std::vector<std::string>> kAlphabets = {
    {"a", "b"}, {"a", "b", "c", "\u2581"}, {"\u00e9", "\u5b57", "\u2581", "x", "\u05d0"}};

TEST(Unigram, EveryTextIsSegmentedByDefinition) {
  testing::Dice dice(7);
  for (int round = 0; round < 400; ++round) {
    const auto& alphabet = kAlphabets[dice.below(kAlphabets.size())];
    const auto arithmetic = static_cast<UnigramArithmetic>(round % 2);
    const UnigramPieces pieces = random_pieces(dice, alphabet, arithmetic);
    const UnigramModel model = testing::unigram_model(pieces, arithmetic);
    const PreTokenizer none;
    const auto encoder = model.encoder(none);
    for (int i = 0; i < 8; ++i) {
      std::string text;
      for (uint64_t n = dice.below(i < 6 ? 20 : 2000); n > 0; --n)
        text += dice.below(20) == 0 ? "z" : alphabet[dice.below(alphabet.size())];
      if (dice.below(4) == 0) text += testing::random_bytes(dice, 3);
      ASSERT_EQ(encoded(*encoder, text), testing::reference_unigram(model, text)) << text;
    }
  }
}

// Few words, many times: nearly all come from memory, and the sum goes through all magnitudes.
TEST(Unigram, LongTextsRoundAsOneSum) {
  testing::Dice dice(8);
  for (int round = 0; round < 12; ++round) {
    const auto& alphabet = kAlphabets[1 + dice.below(2)];
    constexpr auto kArithmetic = UnigramArithmetic::kFloatThroughText;
    const UnigramModel model =
        testing::unigram_model(random_pieces(dice, alphabet, kArithmetic), kArithmetic);
    std::vector<std::string> words;
    for (int i = 0; i < 40; ++i) {
      std::string word = "\u2581";
      for (uint64_t n = 1 + dice.below(7); n > 0; --n)
        word += alphabet[dice.below(alphabet.size())];
      words.push_back(word);
    }
    std::string text;
    while (text.size() < 400000) text += words[dice.below(words.size())];
    const PreTokenizer none;
    ASSERT_EQ(encoded(*model.encoder(none), text), testing::reference_unigram(model, text));
  }
}

// "000" is "0" + "00" or "00" + "0", equally good; which one depends on rounding alone.
TEST(Unigram, TiesAreBrokenByRounding) {
  const UnigramPieces pieces{{"<unk>", 0, UnigramPiece::Role::kUnmatched},
                             {"0", -8.334979057312012f, UnigramPiece::Role::kNormal},
                             {"00", -8.643108367919922f, UnigramPiece::Role::kNormal},
                             {"\u2581", -3.557074546813965f, UnigramPiece::Role::kNormal}};
  const UnigramModel model = testing::unigram_model(pieces, UnigramArithmetic::kFloatThroughText);
  std::string text;
  for (int i = 0; i < 60000; ++i)
    text +=
        "\u2581"
        "000";
  const PreTokenizer none;
  const Ids ids = encoded(*model.encoder(none), text);
  EXPECT_EQ(ids, testing::reference_unigram(model, text));
  int first = 0, second = 0;
  for (size_t i = 0; i + 2 < ids.size(); i += 3) (ids[i + 1] == 1 ? first : second) += 1;
  EXPECT_GT(first, 5);
  EXPECT_GT(second, 5);
}

TEST(Unigram, TimeIsLinear) {
  const UnigramModel model =
      testing::unigram_model({{"<unk>", 0, UnigramPiece::Role::kUnmatched},
                              {"a", -2, UnigramPiece::Role::kNormal},
                              {"aa", -3, UnigramPiece::Role::kNormal},
                              {std::string(40, 'a'), -30, UnigramPiece::Role::kNormal}},
                             UnigramArithmetic::kFloatThroughText);
  const PreTokenizer none;
  const std::string text(3000000, 'a');
  EXPECT_EQ(encoded(*model.encoder(none), text).size(), text.size() / 40);
}

TEST(Unigram, ProgressIsTold) {
  const UnigramModel model = testing::unigram_model(
      {{"<unk>", 0, UnigramPiece::Role::kUnmatched}, {"\u2581", -2, UnigramPiece::Role::kNormal}},
      UnigramArithmetic::kFloatThroughText);
  const PreTokenizer none;
  std::string text;
  while (text.size() < 2000000) text += "\u2581ab";
  size_t told = 0, calls = 0;
  Ids ids;
  model.encoder(none)->encode(
      text, 0,
      [&](size_t done) {
        EXPECT_GT(done, told);
        told = done;
        ++calls;
      },
      ids);
  EXPECT_GE(calls, 6u);
  EXPECT_GT(told, text.size() - (size_t{600} << 10));
}

UnigramModel with_bytes(UnigramArithmetic arithmetic, int bytes) {
  UnigramPieces pieces{{"<unk>", 0, UnigramPiece::Role::kUnmatched},
                       {"a", -1, UnigramPiece::Role::kNormal}};
  for (int b = 0; b < bytes; ++b)
    pieces.push_back({fmt::format("<0x{:02X}>", b), 0, UnigramPiece::Role::kUnmatched});
  return testing::unigram_model(pieces, arithmetic, true);
}

TEST(Unigram, ByteFallback) {
  const PreTokenizer none;
  const UnigramModel model = with_bytes(UnigramArithmetic::kFloatThroughText, 256);
  EXPECT_EQ(encoded(*model.encoder(none), "a\u00e9a"), (Ids{1, 2 + 0xC3, 2 + 0xA9, 1}));
  EXPECT_EQ(encoded(*model.encoder(none), "a\xFF\x80"), (Ids{1, 2 + 0xFF, 2 + 0x80}));
  EXPECT_THROW(with_bytes(UnigramArithmetic::kFloatThroughText, 255), Error);
  // `tokenizers` takes the bytes' tokens only if it has them all.
  const UnigramModel some = with_bytes(UnigramArithmetic::kDoublePerPiece, 0x80);
  EXPECT_EQ(encoded(*some.encoder(none), "ab"), (Ids{1, 2 + 'b'}));
  EXPECT_EQ(encoded(*some.encoder(none), "ab\u00e9"), (Ids{1, 0}));
}

TEST(Unigram, WithoutAnUnknownPiece) {
  const UnigramModel model({Vocabulary({{0, "a"}}, "test")}, {{-1.0, UnigramPiece::Role::kNormal}},
                           {}, "test");
  const PreTokenizer none;
  EXPECT_EQ(encoded(*model.encoder(none), "aa"), (Ids{0, 0}));
  EXPECT_THROW(encoded(*model.encoder(none), "aba"), Error);
  EXPECT_EQ(encoded(*model.encoder(none), "aa"), (Ids{0, 0}));
}

TEST(Unigram, RefusesPiecesThatCannotBe) {
  const auto made = [](std::string text, double score) {
    return testing::unigram_model({{"<unk>", 0, UnigramPiece::Role::kUnmatched},
                                   {std::move(text), score, UnigramPiece::Role::kNormal}},
                                  UnigramArithmetic::kDoublePerPiece);
  };
  EXPECT_NO_THROW(made(std::string("a\0b\xC3\xBF", 5), -1));
  EXPECT_THROW(made("a", NAN), Error);
  EXPECT_THROW(made("a", -INFINITY), Error);
  EXPECT_THROW(made("", -1), Error);
  EXPECT_THROW(made("\xC3", -1), Error);
  EXPECT_THROW(testing::unigram_model({{"a", -1, UnigramPiece::Role::kUserDefined}},
                                      UnigramArithmetic::kDoublePerPiece),
               Error);
  EXPECT_THROW(UnigramModel(Vocabulary({{0, "a"}}, "test"), {}, {}, "test"), Error);
  EXPECT_THROW(UnigramModel(Vocabulary({{0, "a"}}, "test"), {{-1, UnigramPiece::Role::kNormal}},
                            {UnigramArithmetic::kDoublePerPiece, 1, false}, "test"),
               Error);
}

TEST(Unigram, PiecesMayHoldTheByteZero) {
  const UnigramModel model =
      testing::unigram_model({{"<unk>", 0, UnigramPiece::Role::kUnmatched},
                              {std::string("a\0b", 3), -1, UnigramPiece::Role::kNormal}},
                             UnigramArithmetic::kDoublePerPiece);
  const PreTokenizer none;
  EXPECT_EQ(encoded(*model.encoder(none), std::string_view("a\0b", 3)), Ids{1});
  EXPECT_EQ(encoded(*model.encoder(none),
                    "a\xFF"
                    "b"),
            Ids{0});
}

TEST(Unigram, NBestAreTheBestOfAll) {
  testing::Dice dice(9);
  for (int round = 0; round < 60; ++round) {
    const auto& alphabet = kAlphabets[dice.below(kAlphabets.size())];
    const auto arithmetic = static_cast<UnigramArithmetic>(round % 2);
    const UnigramModel model =
        testing::unigram_model(random_pieces(dice, alphabet, arithmetic), arithmetic);
    std::string text;
    for (uint64_t n = 1 + dice.below(9); n > 0; --n) text += alphabet[dice.below(alphabet.size())];
    const auto all = testing::all_segmentations(model, text);
    const auto best = model.nbest(text, 20);
    ASSERT_EQ(best.size(), std::min<size_t>(20, all.size()));
    for (size_t i = 0; i < best.size(); ++i)
      ASSERT_NEAR(best[i].score, all[i].score, 1e-4) << text << ' ' << i;
  }
  const UnigramModel model = testing::unigram_model({{"a", -1, UnigramPiece::Role::kNormal}},
                                                    UnigramArithmetic::kFloatThroughText);
  EXPECT_EQ(model.nbest("", 3).size(), 1u);
  EXPECT_THROW(model.nbest("a", 0), Error);
  EXPECT_THROW(model.nbest("a", 1025), Error);
}

// The probability of each piece, by where it begins and ends.
std::map<std::pair<size_t, size_t>, double> piece_probabilities(const UnigramModel& model,
                                                                std::string_view text) {
  std::map<std::pair<size_t, size_t>, double> sums;
  double total = 0;
  for (const auto& s : testing::all_segmentations(model, text)) {
    total += std::exp(s.score);
    size_t at = 0;
    for (const int32_t id : s.ids) {
      const size_t size = id == model.unknown_id()
                              ? decode_utf8(as_bytes(text) + at, as_bytes(text) + text.size()).size
                              : model.vocabulary().bytes(id).size();
      sums[{at, at + size}] += std::exp(s.score);
      at += size;
    }
  }
  for (auto& [place, sum] : sums) sum /= total;
  return sums;
}

TEST(Unigram, TheLatticeHoldsEveryPieceOfEverySegmentation) {
  testing::Dice dice(10);
  for (int round = 0; round < 60; ++round) {
    const auto& alphabet = kAlphabets[dice.below(kAlphabets.size())];
    const auto arithmetic = static_cast<UnigramArithmetic>(round % 2);
    const UnigramModel model =
        testing::unigram_model(random_pieces(dice, alphabet, arithmetic), arithmetic);
    std::string text, best;
    for (uint64_t n = 1 + dice.below(9); n > 0; --n) text += alphabet[dice.below(alphabet.size())];
    const auto wanted = piece_probabilities(model, text);
    const auto pieces = model.lattice(text);
    ASSERT_EQ(pieces.size(), wanted.size()) << text;
    double best_score = 0;
    for (const TokenModel::LatticePiece& p : pieces) {
      ASSERT_NEAR(p.probability, wanted.at({p.begin, p.end}), 1e-9) << text;
      if (!p.best) continue;
      ASSERT_EQ(p.begin, best.size()) << text;
      best += text.substr(p.begin, p.end - p.begin);
      best_score += p.score;
    }
    ASSERT_EQ(best, text);
    ASSERT_NEAR(best_score, model.nbest(text, 1).front().score, 1e-4) << text;
  }
}

TEST(Unigram, SamplesFollowTheScores) {
  const UnigramModel model = testing::unigram_model({{"<unk>", 0, UnigramPiece::Role::kUnmatched},
                                                     {"a", -1, UnigramPiece::Role::kNormal},
                                                     {"b", -2, UnigramPiece::Role::kNormal},
                                                     {"ab", -1.5, UnigramPiece::Role::kNormal},
                                                     {"ba", -2.5, UnigramPiece::Role::kNormal},
                                                     {"aba", -2, UnigramPiece::Role::kNormal}},
                                                    UnigramArithmetic::kFloatThroughText);
  constexpr double kAlpha = 0.7;
  constexpr int kDraws = 20000;
  double total = 0;
  std::map<Ids, double> wanted;
  for (const auto& s : testing::all_segmentations(model, "ababa"))
    total += wanted[s.ids] = std::exp(kAlpha * s.score);
  std::map<Ids, int> got;
  for (int i = 0; i < kDraws; ++i) ++got[model.sample("ababa", kAlpha, Rng(3).fork(i))];
  double chi = 0;
  for (const auto& [ids, mass] : wanted) {
    const double expected = kDraws * mass / total;
    chi += (got[ids] - expected) * (got[ids] - expected) / expected;
  }
  EXPECT_EQ(got.size(), wanted.size());
  EXPECT_LT(chi, static_cast<double>(wanted.size()) + 5 * std::sqrt(2.0 * wanted.size()));
  EXPECT_EQ(model.sample("ababa", kAlpha, Rng(3)), model.sample("ababa", kAlpha, Rng(3)));
  EXPECT_THROW(model.sample("a", NAN, Rng(3)), Error);
}

}  // namespace
}  // namespace lathe
