#include "lathe/lab/tokenizer_comparison.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/base/error.h"
#include "text/sample_json.h"

namespace lathe {
namespace {

std::vector<NamedTokenizer> one_tokenizer(const std::string& json) {
  std::vector<NamedTokenizer> list;
  list.push_back({"t", Tokenizer::from_json(json, "t")});
  return list;
}

TEST(TokenizerComparison, AddsUpTheDocumentsOfAllTexts) {
  const TempFolder folder;
  const std::filesystem::path a[] = {folder.write("a.txt", "the the")},
                              b[] = {folder.write("b.txt", "abab\xff")};
  TokenizerComparison comparison(one_tokenizer(testing::sample_json({})));
  comparison.add_text("a", a, {});
  comparison.add_text("b", b, {});
  comparison.add_text("a", a, {});
  ASSERT_EQ(comparison.texts().size(), 2u);
  EXPECT_EQ(comparison.texts()[0].lengths[0].tokens, 4);
  EXPECT_EQ(comparison.texts()[0].excerpt, "the the");
  const TextLength all = comparison.total(0);
  EXPECT_EQ(all.tokens, 6);
  EXPECT_EQ(all.bytes, 19);
  EXPECT_EQ(all.characters, 19);
  EXPECT_EQ(comparison.vocabulary_facts(0).unused.count, testing::kSampleSize - 4);
}

// A piece that is only met behind other text is not unreachable.
TEST(TokenizerComparison, APieceMayNeedTextBeforeIt) {
  const std::string json =
      R"({"version": "1.0", "added_tokens": [], "normalizer": null,
"pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": false},
"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
"max_input_chars_per_word": 100, "vocab": {"[UNK]": 0, "x": 1, "ing": 2, "##ing": 3, "a b": 4}}})";
  const TokenizerComparison comparison(one_tokenizer(json));
  const PieceList list = comparison.vocabulary_facts(0).unreachable;
  for (const int32_t id : list.examples) EXPECT_TRUE(id == 0 || id == 4) << id;
  EXPECT_EQ(list.examples.back(), 4);
}

TEST(TokenizerComparison, StopsWhenAsked) {
  const TempFolder folder;
  const std::filesystem::path files[] = {folder.write("a.txt", "the")};
  TokenizerComparison comparison(one_tokenizer(testing::sample_json({})),
                                 [] { fail(ErrorKind::kInterrupted, "test", "stopped"); });
  EXPECT_THROW(comparison.add_text("a", files, {}), Error);
}

}  // namespace
}  // namespace lathe
