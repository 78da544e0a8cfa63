// The ids, texts and scores of sentencepiece and tokenizers on small models. Goldens:
// tools/make_sentencepiece_goldens.py.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/text/base64.h"
#include "lathe/text/decode/sentencepiece_decoder.h"
#include "lathe/text/format/sentencepiece_parts.h"
#include "lathe/text/format/sentencepiece_reader.h"
#include "lathe/text/normalize/charsmap_rules.h"
#include "lathe/text/split/pretokenizer.h"
#include "paths.h"

namespace lathe {
namespace {

using nlohmann::json;
using Ids = std::vector<int32_t>;

const json& goldens() {
  static const json all = [] {
    std::ifstream file(testing::tests_folder() / "text/goldens/sentencepiece.json");
    return json::parse(file);
  }();
  return all;
}

std::string normalized(const SentencePieceNormalizer& normalizer, std::string_view text) {
  std::string out;
  size_t start = 0;
  return normalizer.apply(text, out, start) ? out : std::string(text);
}

Ids encoded(TextEncoder& encoder, std::string_view text) {
  Ids ids;
  encoder.encode(text, 0, {}, ids);
  return ids;
}

std::string decoded(const SentencePieceFile& file, const Ids& ids) {
  SentencePieceDecoder decoder(SentencePieceDecoding::of(file, "golden"));
  std::string text;
  for (const int32_t id : ids) decoder.push(file.pieces[id].text, file.pieces[id].type, text);
  decoder.finish(text);
  return text;
}

void expect_long_text(const json& golden, const SentencePieceNormalizer& normalizer,
                      TextEncoder& encoder) {
  std::string text;
  for (const json& run : golden["runs"])
    for (int n = run[1].get<int>(); n > 0; --n) text += run[0].get_ref<const std::string&>();
  const Ids ids = encoded(encoder, normalized(normalizer, text));
  uint32_t check = 0;
  for (const int32_t id : ids) check = (check ^ static_cast<uint32_t>(id)) * 0x01000193u;
  EXPECT_EQ(ids.size(), golden["count"]);
  EXPECT_EQ(check, golden["check"]);
}

TEST(SentencePieceGolden, EncodesAndDecodesAsSentencepiece) {
  const PreTokenizer none;
  int long_texts = 0;
  for (const json& golden : goldens()["sentencepiece"]) {
    const SentencePieceFile file =
        read_sentencepiece(*from_base64(golden["model"].get<std::string>()), "golden");
    const SentencePieceNormalizer normalizer(normalization_of(file, "golden"));
    const auto model = unigram_model_of(file, "golden");
    const auto encoder = model->encoder(none);
    for (const json& c : golden["cases"]) {
      const std::string text = normalized(normalizer, c["text"].get<std::string>());
      ASSERT_EQ(text, c["normalized"]) << c["text"];
      for (int time = 0; time < 2; ++time)  // the second time from memory
        ASSERT_EQ(encoded(*encoder, text), c["ids"].get<Ids>()) << c["text"];
    }
    for (const json& c : golden["decoded"])
      ASSERT_EQ(decoded(file, c["ids"].get<Ids>()), c["text"]) << c["ids"];
    for (const json& c : golden["nbest"]) {
      const auto best = model->nbest(normalized(normalizer, c["text"].get<std::string>()), 6);
      ASSERT_EQ(best.size(), c["scores"].size());
      for (size_t i = 0; i < best.size(); ++i)
        ASSERT_FLOAT_EQ(static_cast<float>(best[i].score), c["scores"][i].get<float>());
    }
    if (golden.contains("long")) {
      expect_long_text(golden["long"], normalizer, *encoder);
      ++long_texts;
    }
  }
  EXPECT_EQ(long_texts, 4);
}

TEST(SentencePieceGolden, ModelsOfWords) {
  for (const json& golden : goldens()["words"]) {
    const std::string bytes = *from_base64(golden["model"].get<std::string>());
    const Tokenizer tokenizer = sentencepiece_tokenizer(read_sentencepiece(bytes, "w"), "w");
    for (const json& c : golden["cases"])
      ASSERT_EQ(tokenizer.encode(c["text"].get<std::string>()), c["ids"].get<Ids>()) << c["text"];
    for (const json& c : golden["decoded"])
      ASSERT_EQ(tokenizer.decode(c["ids"].get<Ids>()), c["text"]) << c["ids"];
    EXPECT_THROW(tokenizer.to_json(), Error);
  }
}

TEST(SentencePieceGolden, EncodesAsTokenizers) {
  const PreTokenizer none;
  for (const json& golden : goldens()["tokenizers"]) {
    std::vector<VocabularyEntry> entries;
    std::vector<UnigramPiece> pieces;
    for (const json& entry : golden["vocab"]) {
      entries.push_back({static_cast<int32_t>(entries.size()), entry[0], false});
      pieces.push_back({entry[1], UnigramPiece::Role::kNormal});
    }
    const UnigramModel model(
        Vocabulary(entries, "golden"), pieces,
        {UnigramArithmetic::kDoublePerPiece, 0, golden["byte_fallback"].get<bool>()}, "golden");
    const auto encoder = model.encoder(none);
    for (const json& c : golden["cases"])
      for (int time = 0; time < 2; ++time)
        ASSERT_EQ(encoded(*encoder, c["text"].get<std::string>()), c["ids"].get<Ids>()) << c;
  }
}

TEST(SentencePieceGolden, PrecompiledAsTokenizers) {
  const json& golden = goldens()["precompiled"];
  const CharsMap ours =
      CharsMap::build(read_charsmap_rules(golden["rules"].get<std::string>(), "golden"));
  // The map compiled there and the map compiled here.
  for (const std::string& map :
       {golden["charsmap"].get<std::string>(), to_base64(ours.compiled())}) {
    const Normalizer normalizer =
        Normalizer::from_json({{"type", "Precompiled"}, {"precompiled_charsmap", map}}, "golden");
    for (const json& c : golden["cases"]) {
      std::string buffer;
      ASSERT_EQ(normalizer.apply(c[0].get<std::string>(), buffer).text, c[1]) << c;
    }
  }
}

TEST(SentencePieceGolden, WrittenModelsAreReadBack) {
  for (const json& golden : goldens()["sentencepiece"]) {
    const SentencePieceFile file =
        read_sentencepiece(*from_base64(golden["model"].get<std::string>()), "golden");
    const std::string bytes = write_sentencepiece(file);
    EXPECT_TRUE(begins_as_sentencepiece(bytes));
    EXPECT_EQ(write_sentencepiece(read_sentencepiece(bytes, "again")), bytes);
  }
}

}  // namespace
}  // namespace lathe
