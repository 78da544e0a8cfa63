// SentencePiece's normaliser, model file and decoder.
#include <gtest/gtest.h>

#include <cmath>

#include "lathe/base/error.h"
#include "lathe/text/decode/sentencepiece_decoder.h"
#include "lathe/text/format/sentencepiece_parts.h"
#include "lathe/text/split/pretokenizer.h"
#include "text/random_text.h"

namespace lathe {
namespace {

using File = SentencePieceFile;
using Type = File::Type;

std::string normalized(const SentencePieceNormalization& options, std::string_view text) {
  std::string out;
  size_t start = 1;
  return SentencePieceNormalizer(options).apply(text, out, start) ? out : std::string(text);
}

TEST(SentencePieceNormalizer, WhiteSpace) {
  SentencePieceNormalization n;
  EXPECT_EQ(normalized(n, "  two  spaces "), "\u2581two\u2581spaces");
  EXPECT_EQ(normalized(n, "a \u2581"), "\u2581a");
  EXPECT_EQ(normalized(n, "   "), "");
  EXPECT_EQ(normalized(n, ""), "");
  n.treat_whitespace_as_suffix = true;
  EXPECT_EQ(normalized(n, " a b"), "a\u2581b\u2581");
  n.remove_extra_whitespaces = false;
  EXPECT_EQ(normalized(n, " a  b "), "\u2581a\u2581\u2581b\u2581\u2581");
  n.escape_whitespaces = false;
  n.add_dummy_prefix = false;
  EXPECT_EQ(normalized(n, " a  b "), " a  b ");
}

TEST(SentencePieceNormalizer, RulesSymbolsAndBytes) {
  SentencePieceNormalization n;
  n.charsmap =
      CharsMap::build({{U"\t", U" "}, {U"ab", U"x"}, {U"A\u030a", U"\u00c5"}, {U"q", U""}});
  n.user_defined_symbols = {"ab ", "<m>"};
  EXPECT_EQ(normalized(n, "\t\tqaab  ab"), "\u2581aab\u2581x");
  EXPECT_EQ(normalized(n, "long enough A\u030a"), "\u2581long\u2581enough\u2581\u00c5");
  EXPECT_EQ(normalized(n, "q"), "");
  EXPECT_EQ(normalized(n, "a\xFF\xE2\x96z"), "\u2581a\uFFFD\uFFFD\uFFFDz");
  n.keep_invalid_bytes = true;
  EXPECT_EQ(normalized(n, "a\xFF\xE2\x96z"), "\u2581a\xFF\xE2\x96z");
}

TEST(SentencePieceNormalizer, JsonHoldsAllOfIt) {
  SentencePieceNormalization n;
  n.charsmap = CharsMap::build({{U"a", U"b"}});
  n.add_dummy_prefix = false;
  n.user_defined_symbols = {"aa"};
  const text_json::Json json = n.to_json();
  EXPECT_EQ(SentencePieceNormalization::from_json(json, "t").to_json(), json);
  std::string buffer;
  EXPECT_EQ(Normalizer::from_json(json, "t").apply("a aa", buffer).text, "b\u2581aa");
  for (const auto& [key, bad] : {std::pair<const char*, text_json::Json>{"add_dummy_prefix", 1},
                                 {"precompiled_charsmap", "AAA"},
                                 {"precompiled_charsmap", "AAAAAAAA"},
                                 {"user_defined_symbols", {""}},
                                 {"user_defined_symbols", {std::string(1, '\0')}}}) {
    text_json::Json wrong = json;
    wrong[key] = bad;
    EXPECT_THROW(Normalizer::from_json(wrong, "t"), Error) << wrong;
  }
}

// By definition: one place after the other, without the short cuts.
TEST(SentencePieceNormalizer, ShortCutsChangeNothing) {
  testing::Dice dice(11);
  for (int round = 0; round < 200; ++round) {
    CharsMap::Rules rules;
    for (int i = 0; i < 8; ++i) {
      std::u32string from(1, testing::random_code_point(dice));
      if (dice.below(2) == 0) from += testing::random_code_point(dice);
      rules[from] = std::u32string(dice.below(3), testing::random_code_point(dice));
    }
    SentencePieceNormalization n;
    n.charsmap = CharsMap::build(rules);
    n.add_dummy_prefix = n.remove_extra_whitespaces = n.escape_whitespaces = false;
    const std::string text = testing::random_text(dice, 60) + testing::random_bytes(dice, 3) +
                             testing::random_text(dice, 5);
    std::string wanted;
    const uint8_t *p = as_bytes(text), *end = p + text.size();
    while (p < end) {
      const CodePoint c = decode_utf8(p, end);
      const CharsMap::Match match = n.charsmap.longest(p, end);
      if (match.length > 0) {
        wanted += match.replacement;
      } else {
        wanted += c.value == kInvalidByte ? "\uFFFD" : std::string(p, p + c.size);
      }
      p += match.length > 0 ? match.length : c.size;
    }
    ASSERT_EQ(normalized(n, text), wanted);
  }
}

File small_file() {
  File file;
  file.pieces = {{"<unk>", 0, Type::kUnknown},   {"<s>", 0, Type::kControl},
                 {"\u2581a", -1, Type::kNormal}, {"b", -2, Type::kNormal},
                 {"<m>", 0, Type::kUserDefined}, {"\u2581", -3, Type::kNormal},
                 {"ab", -1.5, Type::kUnused},    {"a", -2, Type::kNormal}};
  return file;
}

TEST(SentencePieceFile, IsReadAsItWasWritten) {
  File file = small_file();
  file.treat_whitespace_as_suffix = true;
  file.bos_piece = "<m>";
  file.unk_surface = "?";
  file.normalizer.name = "custom";
  file.normalizer.add_dummy_prefix = false;
  file.normalizer.precompiled_charsmap = CharsMap::build({{U"a", U"b"}}).compiled();
  file.denormalizer = SentencePieceFile::NormalizerSpec{};
  file.denormalizer->name = "de";
  file.denormalizer->escape_whitespaces = false;
  file.self_test = {{"a b", "\u2581a \u2581 b"}};
  const File again = read_sentencepiece(write_sentencepiece(file), "test");
  ASSERT_EQ(again.pieces.size(), file.pieces.size());
  for (size_t i = 0; i < file.pieces.size(); ++i) {
    EXPECT_EQ(again.pieces[i].text, file.pieces[i].text);
    EXPECT_EQ(again.pieces[i].score, file.pieces[i].score);
    EXPECT_EQ(again.pieces[i].type, file.pieces[i].type);
  }
  EXPECT_EQ(again.unk_id(), 0);
  EXPECT_EQ(again.bos_id(), -1);  // <m> is no control piece
  EXPECT_EQ(again.eos_id(), -1);
  EXPECT_EQ(again.unk_surface, "?");
  EXPECT_TRUE(again.treat_whitespace_as_suffix);
  EXPECT_EQ(again.normalizer.precompiled_charsmap, file.normalizer.precompiled_charsmap);
  ASSERT_TRUE(again.denormalizer);
  EXPECT_FALSE(again.denormalizer->escape_whitespaces);
  EXPECT_EQ(again.self_test.at(0).expected, file.self_test[0].expected);
  EXPECT_EQ(write_sentencepiece(again), write_sentencepiece(file));
}

void expect_refused(const File& file, std::string_view why) {
  try {
    read_sentencepiece(write_sentencepiece(file), "test.model");
    ADD_FAILURE() << "accepted: " << why;
  } catch (const Error& e) {
    EXPECT_NE(std::string_view(e.what()).find(why), std::string_view::npos) << e.what();
  }
}

TEST(SentencePieceFile, RefusesWhatSentencepieceRefuses) {
  const auto with = [](File::Piece piece) {
    File file = small_file();
    file.pieces.push_back(std::move(piece));
    return file;
  };
  expect_refused({}, "0 pieces");
  expect_refused(with({"", -1}), "empty");
  expect_refused(with({std::string(1, '\0'), -1}), "zero byte");
  expect_refused(with({"b", -1}), "'b' is listed twice");
  expect_refused(with({"c", NAN}), "score");
  expect_refused(with({"c", -INFINITY}), "score");
  expect_refused(with({"<unk2>", 0, Type::kUnknown}), "2 unknown pieces");
  expect_refused(with({"<0x41>", 0, Type::kByte}), "byte_fallback is false");
  expect_refused(with({"c", 0, static_cast<Type>(9)}), "type 9");
  File bytes = small_file();
  bytes.byte_fallback = true;
  expect_refused(bytes, "<0x00>");
  File type = small_file();
  type.model_type = static_cast<File::ModelType>(7);
  expect_refused(type, "type 7");
  EXPECT_THROW(read_sentencepiece("", "t"), Error);
  EXPECT_THROW(read_sentencepiece("{\"model\": 1}", "t"), Error);
  EXPECT_NO_THROW(read_sentencepiece(write_sentencepiece(with({"<s>", -1})), "t"));
}

TEST(SentencePieceFile, DamagedFilesAreRefusedOrRead) {
  testing::Dice dice(12);
  const std::string whole = write_sentencepiece(small_file());
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = whole;
    for (uint64_t n = 1 + dice.below(3); n > 0; --n)
      bytes[dice.below(bytes.size())] = static_cast<char>(dice.below(256));
    if (dice.below(3) == 0) bytes.resize(dice.below(bytes.size()));
    try {
      const File file = read_sentencepiece(bytes, "t");
      const SentencePieceNormalizer normalizer(normalization_of(file, "t"));
      if (file.model_type == File::ModelType::kUnigram) unigram_model_of(file, "t");
    } catch (const Error&) {
    }
  }
}

TEST(SentencePieceFile, SelfTest) {
  File file = small_file();
  file.self_test = {{"ab", "\u2581a b"}};
  using Pieces = std::vector<std::string>;
  EXPECT_NO_THROW(check_self_test(file, "t", [](std::string_view) {
    return Pieces{"\u2581a", "b"};
  }));
  EXPECT_THROW(check_self_test(file, "t", [](std::string_view) { return Pieces{"\u2581ab"}; }),
               Error);
  file.self_test.push_back({"ax", "\u2581a x"});
  EXPECT_NO_THROW(check_self_test(file, "t", [](std::string_view text) {
    return text == "ab" ? Pieces{"\u2581a", "b"} : Pieces{"\u2581a", "<unk>"};
  }));
  EXPECT_THROW(check_self_test(file, "t",
                               [](std::string_view) {
                                 return Pieces{"\u2581a", "<unk>"};
                               }),
               Error);
  file.self_test.pop_back();
  // Other pieces with the same score.
  file.pieces.push_back({"\u2581ab", -3, Type::kNormal});
  EXPECT_NO_THROW(check_self_test(file, "t", [](std::string_view) { return Pieces{"\u2581ab"}; }));
  file.model_type = File::ModelType::kBpe;
  EXPECT_THROW(check_self_test(file, "t", [](std::string_view) { return Pieces{"\u2581ab"}; }),
               Error);
}

std::string decoded(const SentencePieceDecoding& options, const std::vector<File::Piece>& pieces) {
  SentencePieceDecoder decoder(options);
  std::string once, twice;
  for (std::string* text : {&once, &twice}) {
    for (const File::Piece& piece : pieces) {
      decoder.push(piece.text, piece.type, *text);
      EXPECT_TRUE(is_valid_utf8(*text));  // never half a character
    }
    decoder.finish(*text);
  }
  EXPECT_EQ(once, twice);
  return once;
}

TEST(SentencePieceDecoder, Spaces) {
  SentencePieceDecoding d;
  const std::vector<File::Piece> pieces = {
      {"<s>", 0, Type::kControl}, {"\u2581"}, {"\u2581a"}, {"\u2581\u2581b"}};
  EXPECT_EQ(decoded(d, pieces), "a  b");
  d.remove_extra_whitespaces = false;
  EXPECT_EQ(decoded(d, pieces), " a  b");
  d.add_dummy_prefix = false;
  EXPECT_EQ(decoded(d, pieces), "  a  b");
}

TEST(SentencePieceDecoder, BytesAndUnknowns) {
  const auto byte = [](const char* text) { return File::Piece{text, 0, Type::kByte}; };
  const SentencePieceDecoding d;
  EXPECT_EQ(decoded(d, {byte("<0xC3>"), byte("<0xA9>"), {"\u2581x"}}), "\u00e9 x");
  EXPECT_EQ(decoded(d, {byte("<0xE2>"), byte("<0x96>"), {"x"}, byte("<0xFF>"), byte("<0xC3>")}),
            "\uFFFD\uFFFDx\uFFFD\uFFFD");
  EXPECT_EQ(decoded(d, {byte("<0xE2>"), byte("<0x41>")}),
            "\uFFFD"
            "A");
  EXPECT_EQ(decoded(d, {{"<unk>", 0, Type::kUnknown}, {"\u2581x"}}), " \u2047  x");
}

TEST(SentencePieceDecoder, Denormalizer) {
  File file = small_file();
  file.denormalizer = SentencePieceFile::NormalizerSpec{};
  file.denormalizer->add_dummy_prefix = false;
  file.denormalizer->remove_extra_whitespaces = false;
  file.denormalizer->escape_whitespaces = false;
  file.denormalizer->precompiled_charsmap = CharsMap::build({{U"ab", U"C"}}).compiled();
  EXPECT_EQ(decoded(SentencePieceDecoding::of(file, "t"), {{"\u2581a"}, {"b"}, {"\u2581"}, {"a"}}),
            "C a");
}

}  // namespace
}  // namespace lathe
