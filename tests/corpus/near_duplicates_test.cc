// Words, languages and resemblance of texts.

#include "lathe/corpus/near_duplicates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "lathe/base/rng.h"
#include "lathe/corpus/language.h"
#include "lathe/corpus/word_hashes.h"

namespace lathe {
namespace {

TEST(WordHashes, AreOfWordsWhateverStandsBetween) {
  EXPECT_EQ(word_hashes("The quick, brown fox!"), word_hashes("  the QUICK—brown\nfox"));
  EXPECT_EQ(word_hashes("a b c").size(), 3u);
  EXPECT_NE(word_hashes("ab c"), word_hashes("a bc"));
  EXPECT_EQ(word_hashes("naïve Ärger 3x").size(), 3u);
  EXPECT_EQ(word_hashes("天地玄黃，宇宙").size(), 6u);
  EXPECT_EQ(word_hashes("x天y").size(), 3u);
  EXPECT_TRUE(word_hashes(" .,;-—“”…\xFF ").empty());
  const auto words = word_hashes("one two three four");
  EXPECT_EQ(ngram_hashes(words, 3).size(), 2u);
  EXPECT_NE(ngram_hashes(words, 3)[0], ngram_hashes(words, 3)[1]);
  EXPECT_NE(ngram_hashes(word_hashes("a b"), 2), ngram_hashes(word_hashes("b a"), 2));
  EXPECT_TRUE(ngram_hashes(words, 5).empty());
}

// Sets of 200 numbers, of which `same` are those of the first.
std::vector<uint64_t> set_with(uint64_t same, uint64_t which) {
  std::vector<uint64_t> set;
  for (uint64_t i = 0; i < 200; ++i) set.push_back(Rng(i < same ? 1 : which).bits64(i));
  return set;
}

TEST(NearDuplicates, AreFoundByTheirResemblance) {
  NearDuplicates near(0.8);
  EXPECT_EQ(near.add(set_with(200, 1)), std::nullopt);
  EXPECT_EQ(near.add(set_with(0, 2)), std::nullopt);
  // 190 of 210 numbers, 0.905.
  for (uint64_t i = 3; i < 40; ++i) EXPECT_EQ(near.add(set_with(190, i)), 0u) << i;
  NearDuplicates far(0.8);
  far.add(set_with(200, 1));
  // 100 of 300 numbers, 0.33.
  for (uint64_t i = 3; i < 40; ++i) {
    const auto found = far.add(set_with(100, i));
    EXPECT_NE(found, std::optional<size_t>(0)) << i;
  }
  std::vector<uint64_t> turned = set_with(200, 1);
  std::ranges::reverse(turned);
  EXPECT_EQ(far.add(turned), 0u) << "of sets, not of lists";
  EXPECT_EQ(far.add({}), std::nullopt);
  EXPECT_EQ(far.add({}), std::nullopt);
}

TEST(Language, FollowsFromScriptAndFunctionWords) {
  const std::pair<const char*, const char*> texts[] = {
      {"en", "What is the capital of France, and how do you get there?"},
      {"de", "Die Hauptstadt ist nicht weit von hier, und das ist gut."},
      {"fr", "La capitale est dans le nord du pays, et les gens sont là pour une fête."},
      {"es", "La capital de España es Madrid, y los trenes para el norte salen con retraso."},
      {"pt", "Você não precisa de uma resposta, mas os trens são lentos em Portugal."},
      {"it", "Il treno per Roma non è in orario, anche se il tempo è bello nel sud."},
      {"nl", "Het is niet ver, en een trein van Utrecht wordt voor je ook goed."},
      {"ru", "Это не что-то новое, и как всегда он на месте."},
      {"uk", "Це не щось нове, і він як завжди на місці."},
      {"zh", "天地玄黃，宇宙洪荒。"},
      {"ja", "東京は日本の首都です。"},
      {"ko", "서울은 한국의 수도입니다."},
      {"el", "Η Αθήνα είναι η πρωτεύουσα."},
      {"he", "ירושלים היא עיר"},
      {"th", "กรุงเทพ"},
      {"bg", "Това е добре, че хората се чувстват като у дома."},
      {"fi", "Tämä on hyvä, mutta hän ei tiedä, että se oli täällä."},
      {"sw", "Hii ni nchi ya watu wengi na lugha za Afrika."},
      {"ar", "هذا الكتاب من المكتبة التي في المدينة."},
      {"fa", "این کتاب از کتابخانه است و در شهر را می بیند."},
      {"ur", "یہ کتاب شہر کے کتب خانے سے ہے اور اس میں کہانیاں ہیں۔"},
      {"hi", "यह किताब शहर के पुस्तकालय से है।"},
      {"mr", "हे पुस्तक आहे आणि ते चांगले नाही."},
      {"ne", "यो किताब हो र राम्रो छ।"},
      {"kn", "ಇದು ಪುಸ್ತಕ"},
      {"Latin", "Xylophon Qwertz"},
      {"Arabic", "كتاب"},
      {"Devanagari", "किताब"},
      {"none", "x = (1 + 2) * [3, 4]; // {}"},
      {"none", ""},
  };
  for (const auto& [language, text] : texts) EXPECT_EQ(language_of(text), language) << text;
}

TEST(Language, MayBeWhatATextLeavesOpen) {
  EXPECT_TRUE(may_be_in("Ciao!", "it"));
  EXPECT_FALSE(may_be_in("Ciao!", "ru"));
  EXPECT_FALSE(may_be_in("What is the capital of France?", "it"));
  EXPECT_FALSE(may_be_in("Complete the sentence.", "it")) << "one word says enough";
  EXPECT_TRUE(may_be_in("東京は日本の首都です。", "ja"));
  EXPECT_FALSE(may_be_in("東京は日本の首都です。", "zh"));
  EXPECT_TRUE(may_be_in("1 + 1 = 2", "it"));
  const std::vector<std::string> all = known_languages();
  for (const char* each : {"en", "ja", "sw", "ur", "kn"})
    EXPECT_NE(std::ranges::find(all, each), all.end()) << each;
  for (const char* each : {"Latin", "none"})
    EXPECT_EQ(std::ranges::find(all, each), all.end()) << each;
}

}  // namespace
}  // namespace lathe
