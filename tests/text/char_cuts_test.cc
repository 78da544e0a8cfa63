#include "lathe/text/model/char_cuts.h"

#include <gtest/gtest.h>

#include "lathe/text/model/byte_bpe.h"
#include "text/random_text.h"
#include "text/reference_bpe.h"

namespace lathe {
namespace {

std::vector<std::string> stretches(const CharCuts& cuts, std::string_view text) {
  std::vector<std::string> out;
  cuts.for_each_stretch(as_bytes(text), as_bytes(text) + text.size(),
                        [&](const uint8_t* p, const uint8_t* q) { out.emplace_back(p, q); });
  return out;
}

using Stretches = std::vector<std::string>;

TEST(CharCuts, CutsWhereNoTokenReachesOver) {
  CharCuts cuts(16);
  cuts.add("中国");
  cuts.add("é");
  EXPECT_EQ(stretches(cuts, "中国中"), (Stretches{"中国", "中"}));
  EXPECT_EQ(stretches(cuts, "国中"), (Stretches{"国", "中"}));
  EXPECT_EQ(stretches(cuts, "caféé"), (Stretches{"caf", "é", "é"}));
  EXPECT_EQ(stretches(cuts, "plain"), (Stretches{"plain"}));
}

TEST(CharCuts, ATokenMayHoldHalfACharacter) {
  CharCuts cuts(16);
  cuts.add("字\xE4");  // ends inside 中 (E4 B8 AD)
  EXPECT_EQ(stretches(cuts, "字中"), (Stretches{"字中"}));
  EXPECT_EQ(stretches(cuts, "字国"), (Stretches{"字", "国"}));
  CharCuts other(16);
  other.add("\xAD字");  // begins inside 中
  EXPECT_EQ(stretches(other, "中字"), (Stretches{"中字"}));
  EXPECT_EQ(stretches(other, "国字"), (Stretches{"国", "字"}));
}

TEST(CharCuts, NeverBesideInvalidBytes) {
  CharCuts cuts(16);
  EXPECT_EQ(stretches(cuts, "\xFF中\x80"), (Stretches{"\xFF中\x80"}));
  EXPECT_EQ(stretches(CharCuts(), "中国"), (Stretches{"中国"}));
  EXPECT_EQ(stretches(cuts, "\xE4\xB8"), (Stretches{"\xE4\xB8"}));
}

// Merges over the bytes of a few characters, so that tokens hold characters, halves and both.
ByteBpe random_model(testing::Dice& dice, const Stretches& alphabet) {
  Stretches tokens;
  for (const std::string& c : alphabet)
    for (char byte : c) tokens.emplace_back(1, byte);
  std::vector<std::pair<std::string, std::string>> merges;
  for (const std::string& c : alphabet) {  // most characters are tokens
    for (size_t n = 1; n < c.size() && dice.below(8) != 0; ++n)
      merges.emplace_back(c.substr(0, n), c.substr(n, 1));
    if (!merges.empty()) tokens.push_back(merges.back().first + merges.back().second);
  }
  const size_t more = dice.below(12);
  for (size_t i = 0; i < more; ++i) {
    const std::string left = tokens[dice.below(tokens.size())];
    const std::string right = tokens[dice.below(tokens.size())];
    merges.emplace_back(left, right);
    tokens.push_back(left + right);
  }
  return testing::small_model(merges);
}

TEST(CharCuts, StretchesMergeToWhatTheWholeDoes) {
  const Stretches alphabet = {"中", "国", "字", "é", "ж", "👩", "a", "b"};
  testing::Dice dice(9);
  int64_t parts = 0, texts = 0;
  for (int round = 0; round < 100; ++round) {
    const ByteBpe model = random_model(dice, alphabet);
    for (int i = 0; i < 4; ++i) {
      std::string text;
      for (int c = 0; c < 14; ++c) text += alphabet[dice.below(alphabet.size())];
      if (dice.below(4) == 0) text[dice.below(text.size())] = '\xE4';
      ByteBpe::Scratch scratch;
      std::vector<int32_t> ids;
      for (const std::string& stretch : stretches(model.cuts(), text)) {
        model.merge(stretch, scratch, ids);
        ++parts;
      }
      ASSERT_EQ(ids, testing::reference_encode(model, text)) << text;
      ++texts;
    }
  }
  EXPECT_GT(parts, 3 * texts);  // cuts do happen
}

}  // namespace
}  // namespace lathe
