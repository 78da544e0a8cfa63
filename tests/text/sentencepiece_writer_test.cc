// From a tokenizer.json to a SentencePiece model: the same ids, or an error that names the obstacle.
#include "lathe/text/format/sentencepiece_writer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/text/format/sentencepiece_reader.h"
#include "lathe/text/normalize/charsmap.h"
#include "text/random_text.h"

namespace lathe {
namespace {

using File = SentencePieceFile;
using Type = File::Type;

File small_file(File::ModelType type, bool squeeze, bool map) {
  File file;
  file.model_type = type;
  file.normalizer.remove_extra_whitespaces = squeeze;
  if (map) file.normalizer.precompiled_charsmap = CharsMap::build({{U"A", U"a"}}).compiled();
  file.pieces = {{"<unk>", 0, Type::kUnknown},
                 {"<s>", 0, Type::kControl},
                 {"</s>", 0, Type::kControl},
                 {"<|x|>", 0, Type::kUserDefined}};
  float score = 0;
  for (const char* piece : {"\u2581a", "ab", "\u2581ab", "bc", "abc", "\u2581", "a", "b", "c"})
    file.pieces.push_back({piece, score -= 1.5f, Type::kNormal});
  return file;
}

std::string random_text(testing::Dice& dice) {
  static const std::vector<std::string> kParts = {"a", "b", "c", " ", "  ", "A", "x", "<|x|>", "é"};
  std::string text;
  for (uint64_t n = dice.below(30); n > 0; --n) text += kParts[dice.below(kParts.size())];
  return text;
}

TEST(SentencePieceWriter, ATokenizerJsonGoesBackToWhatItCameFrom) {
  testing::Dice dice(4);
  for (const auto type : {File::ModelType::kUnigram, File::ModelType::kBpe})
    for (int way = 0; way < 4; ++way) {
      File file = small_file(type, way & 1, way & 2);
      // In byte-pair encoding the characters of a symbol would have to be pieces.
      if (type == File::ModelType::kBpe) file.pieces.erase(file.pieces.begin() + 3);
      const Tokenizer model = sentencepiece_tokenizer(file, "m");
      const Tokenizer json = Tokenizer::from_json(model.to_json(), "j");
      const File written = sentencepiece_file_of(json);
      EXPECT_EQ(written.normalizer.remove_extra_whitespaces, (way & 1) != 0);
      const Tokenizer again =
          sentencepiece_tokenizer(read_sentencepiece(write_sentencepiece(written), "w"), "w");
      for (int i = 0; i < 100; ++i) {
        const std::string text = random_text(dice);
        ASSERT_EQ(again.encode(text), model.encode(text)) << text;
      }
    }
}

std::string obstacle(const std::string& json) {
  try {
    sentencepiece_file_of(Tokenizer::from_json(json, "t"));
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

std::string bpe(const std::string& vocabulary, const std::string& merges,
                const std::string& parts = "") {
  return R"({"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, )" +
         parts + R"("model": {"type": "BPE", "unk_token": "?", "fuse_unk": true, "vocab": {)" +
         vocabulary + R"(}, "merges": [)" + merges + "]}}";
}

TEST(SentencePieceWriter, NamesWhatAModelCannotSay) {
  const std::string vocabulary = R"("?": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "bc": 5, "abc": 6)";
  EXPECT_EQ(obstacle(bpe(vocabulary, R"("a b", "b c", "a bc", "ab c")")), "no error");
  const auto contains = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  contains(obstacle(bpe(vocabulary, R"("a b", "b c", "ab c")")), "merges are not those");
  contains(obstacle(bpe(vocabulary, R"("a b", "b c", "a bc", "ab c")",
                        R"("pre_tokenizer": {"type": "Whitespace"}, )")),
           "Whitespace");
  contains(obstacle(bpe(vocabulary, R"("a b", "b c", "a bc", "ab c")",
                        R"("added_tokens": [{"id": 7, "content": "<x>", "lstrip": true}], )")),
           "'<x>' takes white space along");
  contains(obstacle(R"({"model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0}}})"),
           "its model is WordLevel");
  contains(obstacle(R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["?", 0], ["a", -1]]},
"normalizer": {"type": "NFKC"}})"),
           "NFKC");
  contains(obstacle(R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["?", 0], ["a", -1]]},
"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}]}})"),
           "U+0009");
}

TEST(SentencePieceWriter, WordsBetweenWhiteSpaceAreSqueezed) {
  std::u32string space = U"\t\n\v\f\r\u0085\u00A0\u1680\u2028\u2029\u202F\u205F\u3000";
  for (char32_t c = 0x2000; c <= 0x200A; ++c) space += c;
  CharsMap::Rules rules;
  for (const char32_t c : space) rules[std::u32string(1, c)] = U" ";
  const std::string map = CharsMap::build(rules).compiled();
  File file = small_file(File::ModelType::kUnigram, true, false);
  file.normalizer.precompiled_charsmap = map;
  nlohmann::json json = nlohmann::json::parse(sentencepiece_tokenizer(file, "m").to_json());
  json["normalizer"] = json["normalizer"]["normalizers"][0];
  json["pre_tokenizer"] = nlohmann::json::parse(R"({"type": "Sequence", "pretokenizers":
[{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always",
"split": true}]})");
  const Tokenizer words = Tokenizer::from_json(json.dump(), "t");
  const File written = sentencepiece_file_of(words);
  EXPECT_TRUE(written.normalizer.remove_extra_whitespaces);
  const Tokenizer model = sentencepiece_tokenizer(written, "w");
  for (const char* text : {"", "a", "  ab c\t\tab\u3000abc ", "\u0085a"})
    EXPECT_EQ(model.encode(text), words.encode(text)) << text;
}

}  // namespace
}  // namespace lathe
