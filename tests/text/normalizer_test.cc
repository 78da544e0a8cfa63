#include "lathe/text/normalize/normalizer.h"

#include <gtest/gtest.h>

#include <set>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "text/component_samples.h"
#include "text/random_text.h"

namespace lathe {
namespace {

Normalizer make(std::string_view json) {
  return Normalizer::from_json(text_json::parse(json, "test"), "test");
}

std::string normalized(std::string_view json, std::string_view text) {
  std::string buffer;
  return std::string(make(json).apply(text, buffer).text);
}

size_t start_of(std::string_view json, std::string_view text) {
  std::string buffer;
  return make(json).apply(text, buffer).start;
}

TEST(Normalizer, SamplesNameEveryTypeOfTheCatalogue) {
  std::set<std::string> used, known;
  for (const char* json : testing::kNormalizerSamples)
    used.insert(text_json::parse(json, "test")["type"].get<std::string>());
  for (const NormalizerEntry& entry : kNormalizers) known.emplace(entry.name);
  EXPECT_EQ(used, known);
}

TEST(Normalizer, FoldsCaseAsSentencePieceDoes) {
  // Simple folding: one character for one.
  EXPECT_EQ(normalized(R"({"type": "NFKC_CF"})", "Straße ΣΑΣ ﬁ İ ŉ Ⅷ ᏸ"),
            "straße σασ fi İ ʼn viii Ᏸ");
}

TEST(Normalizer, InvalidBytesPassThrough) {
  const std::string text = "\xFF A\xE4\xB8 \xC3\x89\xC0";
  for (const char* type : {"NFC", "NFKD", "Nmt", "StripAccents"})
    EXPECT_EQ(normalized(fmt::format(R"({{"type": "{}"}})", type), "\xFFx\xE4\xB8 \xC0"),
              "\xFFx\xE4\xB8 \xC0")
        << type;
  EXPECT_EQ(normalized(R"({"type": "Lowercase"})", text), "\xFF a\xE4\xB8 \xC3\xA9\xC0");
  EXPECT_EQ(normalized(testing::kNormalizerSamples[12], text), "\xFF a\xE4\xB8 e\xC0");
  // An expression sees U+FFFD, which is replaced where it matches.
  EXPECT_EQ(
      normalized(R"({"type": "Replace", "pattern": {"Regex": "[A-Z]"}, "content": "-"})", text),
      "\xFF -\xE4\xB8 \xC3\x89\xC0");
  EXPECT_EQ(
      normalized(R"({"type": "Replace", "pattern": {"Regex": "[^ A]"}, "content": "-"})", text),
      "- A-- --");
}

TEST(Normalizer, SaysWhatDerivesFromTheFirstCharacter) {
  EXPECT_EQ(start_of(R"({"type": "Lowercase"})", "ab"), 1u);
  EXPECT_EQ(start_of(R"({"type": "Lowercase"})", "İb"), 3u);  // i and a dot above
  EXPECT_EQ(start_of(R"({"type": "NFC"})", "e\u0301x"), 2u);
  EXPECT_EQ(start_of(R"({"type": "NFKD"})", "½x"), 5u);
  EXPECT_EQ(start_of(R"({"type": "Strip", "strip_left": true, "strip_right": true})", " a"), 0u);
  EXPECT_EQ(start_of(R"({"type": "Strip", "strip_left": true, "strip_right": true})", "a "), 1u);
  EXPECT_EQ(start_of(R"({"type": "StripAccents"})", "\u0301a"), 0u);
  EXPECT_EQ(start_of(R"({"type": "Prepend", "prepend": "▁"})", "ab"), 4u);
  // What stands for several characters derives from the last of them.
  EXPECT_EQ(start_of(R"({"type": "Replace", "pattern": {"String": "ab"}, "content": "x"})", "ab"),
            0u);
  EXPECT_EQ(start_of(R"({"type": "Replace", "pattern": {"String": "a"}, "content": "xy"})", "ab"),
            2u);
  EXPECT_EQ(start_of(R"({"type": "Replace", "pattern": {"Regex": "^"}, "content": "x"})", "ab"),
            2u);
  EXPECT_EQ(start_of(testing::kNormalizerSamples[12], "中a"), 5u);
  EXPECT_EQ(start_of(R"({"type": "Sequence", "normalizers": []})", ""), 0u);
}

TEST(Normalizer, HostileTextsTakeTheirTime) {
  const std::vector<std::string> texts = {std::string(300000, 'a'),
                                          std::string(300000, ' '),
                                          std::string(300000, '\xFF'),
                                          std::string(300000, '\x80'),
                                          [] {
                                            std::string marks = "a";
                                            for (int i = 0; i < 60000; ++i) marks += "\u0301\u0316";
                                            return marks;
                                          }(),
                                          [] {
                                            std::string ideographs;
                                            for (int i = 0; i < 90000; ++i) ideographs += "中";
                                            return ideographs;
                                          }()};
  testing::Dice dice(31);
  for (const char* json : testing::kNormalizerSamples) {
    const Normalizer normalizer = make(json);
    std::string buffer;
    for (const std::string& text : texts)
      EXPECT_LE(normalizer.apply(text, buffer).start, 300000u * 2);
    for (int i = 0; i < 200; ++i) {
      const std::string text = testing::random_text(dice, dice.below(20)) +
                               testing::random_bytes(dice, dice.below(8)) +
                               testing::random_text(dice, dice.below(5));
      const Normalizer::Result result = normalizer.apply(text, buffer);
      ASSERT_LE(result.start, result.text.size()) << json;
    }
  }
}

TEST(Normalizer, RefusesWhatItDoesNotKnow) {
  for (const char* bad :
       {R"({"type": "Magic"})", R"({})", R"([])", R"({"type": "Strip"})",
        R"({"type": "BertNormalizer", "clean_text": 1})", R"({"type": "Prepend"})",
        R"({"type": "Replace", "pattern": 1, "content": ""})",
        R"({"type": "Replace", "pattern": {"Regex": "("}, "content": ""})",
        R"({"type": "Sequence", "normalizers": {}})"})
    EXPECT_THROW(make(bad), Error) << bad;
  try {
    make(R"({"type": "NFX"})");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("NFKC_CF"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace lathe
