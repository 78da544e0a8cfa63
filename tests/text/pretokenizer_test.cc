#include "lathe/text/split/pretokenizer.h"

#include <gtest/gtest.h>

#include <set>

#include "lathe/base/error.h"
#include "lathe/text/split/digits.h"
#include "text/component_samples.h"
#include "text/random_text.h"

namespace lathe {
namespace {

using Pieces = std::vector<std::string>;

PreTokenizer make(std::string_view json) {
  return PreTokenizer::from_json(text_json::parse(json, "test"), "test");
}

Pieces cut(const PreTokenizer& pre, std::string_view text) {
  PreTokenizer::Scratch scratch;
  const std::string_view out = pre.split(text, 1, scratch);
  Pieces pieces;
  for (const Piece& p : scratch.pieces) pieces.emplace_back(out.substr(p.begin, p.end - p.begin));
  return pieces;
}

Pieces cut(std::string_view json, std::string_view text) { return cut(make(json), text); }

std::string split_json(std::string_view pattern, std::string_view behavior, bool invert = false) {
  return fmt::format(
      R"({{"type": "Split", "pattern": {{"String": "{}"}}, "behavior": "{}", "invert": {}}})",
      pattern, behavior, invert);
}

TEST(PreTokenizer, SplitBehaviors) {
  const std::string text = "the-final--countdown-";
  EXPECT_EQ(cut(split_json("-", "Removed"), text), (Pieces{"the", "final", "countdown"}));
  EXPECT_EQ(cut(split_json("-", "Isolated"), text),
            (Pieces{"the", "-", "final", "-", "-", "countdown", "-"}));
  EXPECT_EQ(cut(split_json("-", "MergedWithPrevious"), text),
            (Pieces{"the-", "final-", "-", "countdown-"}));
  EXPECT_EQ(cut(split_json("-", "MergedWithNext"), text),
            (Pieces{"the", "-final", "-", "-countdown", "-"}));
  EXPECT_EQ(cut(split_json("-", "Contiguous"), text),
            (Pieces{"the", "-", "final", "--", "countdown", "-"}));
  EXPECT_EQ(cut(split_json("-", "Removed", true), text), (Pieces{"-", "-", "-", "-"}));
  EXPECT_EQ(cut(split_json("-", "Isolated"), "--"), (Pieces{"-", "-"}));
  EXPECT_EQ(cut(split_json("", "Isolated"), "ab"), (Pieces{"a", "b"}));
}

TEST(PreTokenizer, RegexSplits) {
  const auto json = [](std::string_view behavior) {
    return fmt::format(
        R"({{"type": "Split", "pattern": {{"Regex": "[0-9][0-9][0-9]"}}, "behavior": "{}", "invert": false}})",
        behavior);
  };
  EXPECT_EQ(cut(json("Isolated"), "a12345b"), (Pieces{"a", "123", "45b"}));
  EXPECT_EQ(cut(json("Removed"), "a12345b"), (Pieces{"a", "45b"}));
  EXPECT_EQ(cut(json("Isolated"),
                "\xFF"
                "123\xE4"),
            (Pieces{"\xFF", "123", "\xE4"}));
}

TEST(PreTokenizer, DigitsAndPunctuation) {
  EXPECT_EQ(cut(R"({"type": "Digits", "individual_digits": true})", "a12²b"),
            (Pieces{"a", "1", "2", "²", "b"}));
  EXPECT_EQ(cut(R"({"type": "Digits", "individual_digits": false})", "a12²b"),
            (Pieces{"a", "12²", "b"}));
  EXPECT_EQ(cut(R"({"type": "Punctuation"})", "a,$。b"), (Pieces{"a", ",", "$", "。", "b"}));
  EXPECT_EQ(cut(R"({"type": "Punctuation", "behavior": "Contiguous"})", "a,$。b€"),
            (Pieces{"a", ",$。", "b€"}));
}

TEST(PreTokenizer, SmolLmDigitsThenByteLevel) {
  const PreTokenizer pre = make(R"({"type": "Sequence", "pretokenizers": [
      {"type": "Digits", "individual_digits": true},
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]})");
  EXPECT_TRUE(pre.byte_level());
  EXPECT_EQ(pre.scanner(), nullptr);
  EXPECT_EQ(cut(pre, "in 2024 it's"), (Pieces{"in", " ", "2", "0", "2", "4", " it", "'s"}));
}

TEST(PreTokenizer, StepsBehindByteLevelSeeMappedCharacters) {
  // The bytes of U+4E0B are E4 B8 8B and those of U+4E3D are E4 B8 BD; BD is written as ½, a
  // number.
  const PreTokenizer pre = make(R"({"type": "Sequence", "pretokenizers": [
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
      {"type": "Digits", "individual_digits": false}]})");
  EXPECT_EQ(cut(pre, "下"), (Pieces{"下"}));
  EXPECT_EQ(cut(pre, "丽a"), (Pieces{"\xE4\xB8", "\xBD", "a"}));
  EXPECT_EQ(cut(pre, " 12"), (Pieces{" ", "12"}));
}

TEST(PreTokenizer, PrefixSpace) {
  const PreTokenizer pre = make(R"({"type": "ByteLevel", "add_prefix_space": true})");
  EXPECT_EQ(pre.scanner(), nullptr);
  EXPECT_EQ(cut(pre, "a b"), (Pieces{" a", " b"}));
  EXPECT_EQ(cut(pre, " a"), (Pieces{" a"}));
  EXPECT_EQ(cut(pre, ""), Pieces{});
}

TEST(PreTokenizer, ScannerAndPipelineAgree) {
  testing::Dice dice(21);
  for (const PatternInfo& info : kPreTokenizers) {
    const PreTokenizer pre = PreTokenizer::from_json(PreTokenizer::json_for(info.pattern), "test");
    EXPECT_EQ(pre.scanner(), info.next);
    // "(?:…)" is not among the known spellings, so it goes through PCRE2.
    text_json::Json json = {{"type", "Split"},
                            {"pattern", {{"Regex", fmt::format("(?:{})", info.regex)}}},
                            {"behavior", "Removed"},
                            {"invert", true}};
    const PreTokenizer slow = PreTokenizer::from_json(json, "test");
    EXPECT_EQ(slow.scanner(), nullptr);
    for (int i = 0; i < 200; ++i) {
      const std::string text =
          testing::random_text(dice, 30) + testing::random_bytes(dice, dice.below(4)) + " x";
      ASSERT_EQ(cut(pre, text), cut(slow, text)) << info.name;
    }
  }
}

TEST(PreTokenizer, SamplesNameEveryTypeOfTheCatalogue) {
  std::set<std::string> used, known;
  for (const char* json : testing::kPreTokenizerSamples)
    used.insert(text_json::parse(json, "test")["type"].get<std::string>());
  for (const PreTokenizerEntry& entry : kPreTokenizerTypes) known.emplace(entry.name);
  EXPECT_EQ(used, known);
}

TEST(PreTokenizer, MetaspaceMarksWhatBeginsTheText) {
  const PreTokenizer first = make(R"({"type": "Metaspace", "replacement": "▁",
                                      "prepend_scheme": "first"})");
  PreTokenizer::Scratch scratch;
  EXPECT_EQ(first.split("a b", 1, scratch), "▁a▁b");
  EXPECT_EQ(scratch.start, 4u);
  EXPECT_EQ(first.split("a b", 0, scratch), "a▁b");
  EXPECT_EQ(first.split(" a", 1, scratch), "▁a");
  // Old files.
  EXPECT_EQ(cut(R"({"type": "Metaspace", "replacement": "▁", "str_rep": "▁",
                    "add_prefix_space": true})",
                "a b"),
            (Pieces{"▁a", "▁b"}));
  EXPECT_EQ(cut(R"({"type": "Metaspace", "replacement": "▁", "add_prefix_space": false})", "a b"),
            (Pieces{"a", "▁b"}));
}

TEST(PreTokenizer, InvalidBytesAreSymbols) {
  EXPECT_EQ(cut(R"({"type": "Whitespace"})", "a\xFF\xFE. b\xE4"),
            (Pieces{"a", "\xFF\xFE.", "b", "\xE4"}));
  EXPECT_EQ(cut(R"({"type": "BertPreTokenizer"})", "a\xFF. b"), (Pieces{"a\xFF", ".", "b"}));
  EXPECT_EQ(cut(R"({"type": "FixedLength", "length": 2})", "\xFF\xE4\xB8x"),
            (Pieces{"\xFF\xE4", "\xB8x"}));
  EXPECT_EQ(cut(R"({"type": "Metaspace", "replacement": "▁"})", "\xE2\x96 \xE2"),
            (Pieces{"▁\xE2\x96", "▁\xE2"}));
}

TEST(PreTokenizer, DigitPolicies) {
  const auto digits = [](std::string_view name, std::string_view text) {
    return cut(PreTokenizer::from_json(find_in(kDigitPolicies, "digits", name).make(), "test"),
               text);
  };
  EXPECT_EQ(digits("none", "a1234567b"), (Pieces{"a1234567b"}));
  EXPECT_EQ(digits("single", "a123b"), (Pieces{"a", "1", "2", "3", "b"}));
  EXPECT_EQ(digits("threes", "a1234567b"), (Pieces{"a", "123", "456", "7", "b"}));
  EXPECT_EQ(digits("threes_from_right", "a1234567b12 ٣٤٥٦"),
            (Pieces{"a", "1", "234", "567", "b", "12", " ", "٣", "٤٥٦"}));
  EXPECT_EQ(digits("threes_from_right", std::string(300000, '7')).size(), 100000u);
}

TEST(PreTokenizer, ThreesFromTheRightAreTheExpressions) {
  const text_json::Json json = find_in(kDigitPolicies, "digits", "threes_from_right").make();
  text_json::Json engine = json;
  engine["pattern"]["Regex"] = fmt::format("(?:{})", kThreesFromTheRight);
  const PreTokenizer scanner = PreTokenizer::from_json(json, "test");
  const PreTokenizer regex = PreTokenizer::from_json(engine, "test");
  testing::Dice dice(22);
  for (int i = 0; i < 500; ++i) {
    std::string text;
    for (uint64_t n = dice.below(20); n > 0; --n)
      text += dice.below(3) ? std::string(dice.below(5), '1') : testing::random_text(dice, 1);
    text += testing::random_bytes(dice, dice.below(3));
    ASSERT_EQ(cut(scanner, text), cut(regex, text)) << text;
  }
}

TEST(PreTokenizer, HostileTextsTakeTheirTime) {
  const std::string unit[] = {"a", " ", "1", "x1 ", "中", ".", "\xFF", "▁", "\xE2"};
  testing::Dice dice(23);
  for (const char* json : testing::kPreTokenizerSamples) {
    const PreTokenizer pre = make(json);
    PreTokenizer::Scratch scratch;
    const auto check = [&](std::string_view text) {
      const std::string_view out = pre.split(text, 1, scratch);
      size_t from = 0;
      for (const Piece& piece : scratch.pieces) {
        ASSERT_TRUE(from <= piece.begin && piece.begin < piece.end && piece.end <= out.size())
            << json;
        from = piece.end;
      }
    };
    for (const std::string& u : unit) {
      std::string text;
      while (text.size() < 200000) text += u;
      check(text);
    }
    for (int i = 0; i < 200; ++i)
      check(testing::random_text(dice, dice.below(20)) +
            testing::random_bytes(dice, dice.below(8)));
  }
}

TEST(PreTokenizer, RefusesWhatItDoesNotKnow) {
  for (const char* bad :
       {R"({"type": "Sideways"})", R"({"type": "Metaspace"})", R"({})", R"([])", R"("x")",
        R"({"type": 3})", R"({"type": "Sequence"})", R"({"type": "Sequence", "pretokenizers": 1})",
        R"({"type": "Split", "pattern": {}, "behavior": "Isolated"})",
        R"({"type": "Split", "pattern": {"Regex": 1}, "behavior": "Isolated"})",
        R"({"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated"})",
        R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Sideways"})",
        R"({"type": "Digits", "individual_digits": 1})", R"({"type": "FixedLength", "length": 0})",
        R"({"type": "CharDelimiterSplit", "delimiter": "ab"})",
        R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "last"})",
        R"({"type": "Sequence", "pretokenizers": [
            {"type": "ByteLevel"}, {"type": "Metaspace", "replacement": "▁"}]})",
        R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "ByteLevel"}]})"})
    EXPECT_THROW(make(bad), Error) << bad;
}

TEST(PreTokenizer, DeepNestingIsRefused) {
  std::string json = R"({"type": "Digits"})";
  for (int i = 0; i < 200; ++i) json = R"({"type": "Sequence", "pretokenizers": [)" + json + "]}";
  EXPECT_THROW(make(json), Error);
}

}  // namespace
}  // namespace lathe
