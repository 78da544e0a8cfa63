#include "lathe/text/format/gguf_reader.h"

#include <gtest/gtest.h>

#include "lathe/base/error.h"

namespace lathe {
namespace {

GgufVocabulary llama(std::vector<std::string> tokens, std::vector<float> scores) {
  GgufVocabulary vocabulary;
  vocabulary.model = "llama";
  vocabulary.tokens = std::move(tokens);
  vocabulary.scores = std::move(scores);
  return vocabulary;
}

TEST(GgufReader, OnlyMergesWithRanksBecomeATokenizerJson) {
  const std::vector<std::string> tokens = {"▁", "a", "b", "ab", "▁a"};
  const Tokenizer ranked = gguf_tokenizer(llama(tokens, {-9, -8, -7, -1, -2}), "g");
  EXPECT_EQ(ranked.encode("ab"), (std::vector<int32_t>{0, 3}));
  EXPECT_EQ(Tokenizer::from_json(ranked.to_json(), "j").encode("ab"), ranked.encode("ab"));

  const auto error = [](const Tokenizer& tokenizer) {
    try {
      tokenizer.to_json();
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  // Equal scores: the leftmost is made first, whatever its place in the list.
  const Tokenizer tied = gguf_tokenizer(llama(tokens, {-9, -8, -7, -1, -1}), "g");
  EXPECT_EQ(tied.encode("ab"), (std::vector<int32_t>{4, 2}));
  EXPECT_NE(error(tied).find("merges have no ranks"), std::string::npos) << error(tied);
  // "c" is no token, but "bc" is made of it.
  const Tokenizer hidden = gguf_tokenizer(llama({"▁", "a", "b", "bc"}, {-9, -8, -7, -1}), "g");
  EXPECT_EQ(hidden.encode("abc"), (std::vector<int32_t>{0, 1, 3}));
  EXPECT_NE(error(hidden).find("merges have no ranks"), std::string::npos) << error(hidden);
}

}  // namespace
}  // namespace lathe
