// Normalisers, pre-tokenisers, decoders and classes of characters against what `tokenizers` makes
// of the same: goldens/components.json, written by tools/make_component_goldens.py.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lathe/base/utf8.h"
#include "lathe/text/decode/decoder.h"
#include "lathe/text/library_class.h"
#include "lathe/text/normalize/normalizer.h"
#include "lathe/text/split/pretokenizer.h"
#include "paths.h"

namespace lathe {
namespace {

using text_json::Json;

const Json& goldens() {
  static const Json json = [] {
    std::ifstream file(testing::tests_folder() / "text/goldens/components.json");
    return Json::parse(file);
  }();
  return json;
}

Json component(const Json& golden, const char* key = "json") {
  return Json::parse(golden[key].get<std::string>());
}

std::vector<std::string> cut(const PreTokenizer& pre, std::string_view text, size_t start) {
  PreTokenizer::Scratch scratch;
  const std::string_view out = pre.split(text, start, scratch);
  std::vector<std::string> pieces;
  for (const Piece& p : scratch.pieces) pieces.emplace_back(out.substr(p.begin, p.end - p.begin));
  return pieces;
}

size_t first_size(std::string_view text) {
  return text.empty() ? 0 : decode_utf8(as_bytes(text), as_bytes(text) + text.size()).size;
}

TEST(ComponentGoldens, Normalizers) {
  const auto texts = goldens()["texts"].get<std::vector<std::string>>();
  ASSERT_GE(goldens()["normalizers"].size(), 24u);
  for (const Json& golden : goldens()["normalizers"]) {
    const Normalizer normalizer = Normalizer::from_json(component(golden), "test");
    for (size_t i = 0; i < texts.size(); ++i) {
      if (golden["results"][i].is_null()) continue;
      std::string buffer;
      EXPECT_EQ(normalizer.apply(texts[i], buffer).text, golden["results"][i].get<std::string>())
          << golden["json"] << " of '" << texts[i] << "'";
    }
  }
}

TEST(ComponentGoldens, PreTokenizers) {
  const auto texts = goldens()["texts"].get<std::vector<std::string>>();
  ASSERT_GE(goldens()["pre_tokenizers"].size(), 25u);
  for (const Json& golden : goldens()["pre_tokenizers"]) {
    const PreTokenizer pre = PreTokenizer::from_json(component(golden), "test");
    for (size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(cut(pre, texts[i], first_size(texts[i])),
                golden["results"][i].get<std::vector<std::string>>())
          << golden["json"] << " of '" << texts[i] << "'";
  }
}

TEST(ComponentGoldens, WhatBeginsTheTextBehindANormalizer) {
  const auto texts = goldens()["starts"].get<std::vector<std::string>>();
  ASSERT_GE(goldens()["chains"].size(), 72u);
  for (const Json& golden : goldens()["chains"]) {
    const Normalizer normalizer = Normalizer::from_json(component(golden, "normalizer"), "test");
    const PreTokenizer pre = PreTokenizer::from_json(component(golden, "pre_tokenizer"), "test");
    for (size_t i = 0; i < texts.size(); ++i) {
      if (golden["results"][i].is_null()) continue;
      std::string buffer;
      const Normalizer::Result normalized = normalizer.apply(texts[i], buffer);
      EXPECT_EQ(cut(pre, normalized.text, normalized.start),
                golden["results"][i].get<std::vector<std::string>>())
          << golden["normalizer"] << ", " << golden["pre_tokenizer"] << " of '" << texts[i] << "'";
    }
  }
}

TEST(ComponentGoldens, Decoders) {
  const auto texts = goldens()["tokens"].get<std::vector<std::vector<std::string>>>();
  ASSERT_GE(goldens()["decoders"].size(), 26u);
  size_t compared = 0;
  for (const Json& golden : goldens()["decoders"]) {
    const Decoder decoder = Decoder::from_json(component(golden), "test");
    for (size_t i = 0; i < texts.size(); ++i) {
      if (golden["results"][i].is_null()) continue;
      std::string out;
      Decoder::Stream stream = decoder.stream();
      for (const std::string& token : texts[i]) stream.push(token, out);
      stream.finish(out);
      EXPECT_EQ(out, golden["results"][i].get<std::string>())
          << golden["json"] << " of " << goldens()["tokens"][i];
      ++compared;
    }
  }
  EXPECT_GE(compared, 450u);
}

TEST(ComponentGoldens, ClassesOfAllCodePoints) {
  const auto expect = [](const char* name, auto&& holds) {
    size_t listed = 0, held = 0;
    for (const Json& range : goldens()["classes"][name]) {
      for (auto c = range[0].get<char32_t>(); c <= range[1].get<char32_t>(); ++c, ++listed)
        EXPECT_TRUE(holds(c)) << name << " lacks " << static_cast<uint32_t>(c);
    }
    for (char32_t c = 0; c < 0x110000; ++c) held += holds(c) && !(c >= 0xD800 && c < 0xE000);
    EXPECT_EQ(held, listed) << name;
  };
  const LibraryClasses& classes = LibraryClasses::get();
  const auto has = [&](uint16_t bit) {
    return [&, bit](char32_t c) { return classes.of(c) & bit; };
  };
  expect("word", has(kWordChar));
  expect("white_space", has(kWhiteSpace));
  expect("punctuation", has(kPunctuation));
  expect("numeric", has(kNumeric));
  expect("mark", has(kAnyMark));
  expect("nonspacing", has(kNonspacing));
  expect("ideograph", has(kIdeograph));
  expect("cleaned",
         [&](char32_t c) { return c == 0 || c == 0xFFFD || (classes.of(c) & kControl); });
  EXPECT_EQ(classes.of(kInvalidByte), 0);
}

TEST(ComponentGoldens, SmallLettersOfAllCodePoints) {
  size_t changed = 0;
  for (char32_t c = 0; c < 0x110000; ++c) changed += lower_case(c) != c;
  EXPECT_EQ(changed, goldens()["classes"]["lower"].size());
  for (const Json& pair : goldens()["classes"]["lower"])
    EXPECT_EQ(lower_case(pair[0].get<char32_t>()), pair[1].get<char32_t>()) << pair;
  EXPECT_EQ(lower_case(kInvalidByte), kInvalidByte);
}

}  // namespace
}  // namespace lathe
