#include "lathe/text/normalize/charsmap.h"

#include <gtest/gtest.h>

#include "lathe/base/error.h"
#include "lathe/text/base64.h"
#include "lathe/text/normalize/charsmap_rules.h"
#include "lathe/text/normalize/grapheme.h"
#include "text/random_text.h"

namespace lathe {
namespace {

CharsMap::Match longest(const CharsMap& map, std::string_view text) {
  return map.longest(as_bytes(text), as_bytes(text) + text.size());
}

TEST(CharsMap, ReplacesTheLongest) {
  const CharsMap map =
      CharsMap::build({{U"a", U"1"}, {U"ab", U"22"}, {U"abc\u00e9", U""}, {U"\U0001F680", U"!"}});
  EXPECT_EQ(longest(map, "abcd").length, 2u);
  EXPECT_EQ(longest(map, "abcd").replacement, "22");
  EXPECT_EQ(longest(map, "abc\u00e9").length, 5u);
  EXPECT_EQ(longest(map, "abc\u00e9").replacement, "");
  EXPECT_EQ(longest(map, "\U0001F680").replacement, "!");
  EXPECT_EQ(longest(map, "b").length, 0u);
  EXPECT_EQ(longest(map, "").length, 0u);
  const std::string_view text = "abc";
  EXPECT_EQ(map.shortest(as_bytes(text), as_bytes(text) + 3).replacement, "1");
}

// What the quick test denies has no rule, on all of Unicode and for bytes that are none.
TEST(CharsMap, TheQuickTestLetsNoRulePass) {
  testing::Dice dice(5);
  for (int round = 0; round < 40; ++round) {
    CharsMap::Rules rules;
    for (int i = 0; i < 30; ++i) {
      std::u32string from;
      for (uint64_t n = 1 + dice.below(3); n > 0; --n) from += testing::random_code_point(dice);
      rules[from] = U"x";
    }
    const CharsMap map = CharsMap::build(rules);
    for (int i = 0; i < 3000; ++i) {
      const std::string text =
          dice.below(5) == 0 ? testing::random_bytes(dice, 4) : testing::random_text(dice, 3);
      const uint8_t *p = as_bytes(text), *end = p + text.size();
      const CodePoint c = decode_utf8(p, end);
      ASSERT_TRUE(map.may_apply(c.value, p + c.size, end) || map.longest(p, end).length == 0);
    }
    for (const auto& [from, to] : rules) {
      std::string text;
      for (const char32_t c : from) append_utf8(text, c);
      ASSERT_EQ(longest(map, text).length, text.size());
    }
  }
}

TEST(CharsMap, IsReadAsItWasWritten) {
  const CharsMap map = CharsMap::build({{U"a", U"1"}, {U"bc", U"2"}});
  const CharsMap again = CharsMap::parse(map.compiled(), "test");
  EXPECT_EQ(again.compiled(), map.compiled());
  EXPECT_EQ(longest(again, "bc").replacement, "2");
  EXPECT_TRUE(CharsMap::parse("", "test").empty());
  EXPECT_EQ(CharsMap().compiled(), "");
  EXPECT_FALSE(CharsMap().may_apply('a', nullptr, nullptr));
}

TEST(CharsMap, RefusesDamage) {
  const std::string whole = CharsMap::build({{U"a", U"1"}}).compiled();
  for (const size_t size : {1, 4, 5, 600})
    EXPECT_THROW(CharsMap::parse(whole.substr(0, size), "t"), Error);
  for (const char* size : {"\0\0\0\0", "\3\0\0\0", "\xFF\xFF\xFF\xFF"})
    EXPECT_THROW(CharsMap::parse(std::string(size, 4) + whole.substr(4), "t"), Error);
  EXPECT_THROW(CharsMap::parse(whole + "\xFF", "t"), Error);
  EXPECT_THROW(CharsMap::build({{U"", U"1"}}), Error);
  EXPECT_THROW(CharsMap::build({{U"a", std::u32string(1, U'\0')}}), Error);
  EXPECT_THROW(CharsMap::build({{std::u32string(1, char32_t{0xD800}), U"a"}}), Error);
  // A value beyond the pool is no rule.
  std::string damaged = whole;
  for (size_t i = 4; i + 4 < damaged.size(); i += 4)
    if (damaged[i + 3] == '\x80') damaged[i + 1] = '\x7F';
  EXPECT_EQ(longest(CharsMap::parse(damaged, "t"), "a").length, 0u);
}

TEST(CharsMapRules, AreReadFromLines) {
  const CharsMap::Rules rules =
      read_charsmap_rules("U+61 62\t41\t# a comment\n63\t\r\n64\n1F680\t21 3F", "rules.tsv");
  EXPECT_EQ(rules,
            (CharsMap::Rules{{U"ab", U"A"}, {U"c", U""}, {U"d", U""}, {U"\U0001F680", U"!?"}}));
  for (const char* bad : {"\t61", "61\tx", "110000\t61", "D800\t61", "0\t61", "61\n\n62", "6 1g"})
    EXPECT_THROW(read_charsmap_rules(bad, "rules.tsv"), Error) << bad;
}

TEST(CharsMapRules, NamedMaps) {
  EXPECT_FALSE(named_charsmap_rules("nfc"));
  EXPECT_TRUE(named_charsmap_rules("identity")->empty());
  const CharsMap nfkc = CharsMap::build(*named_charsmap_rules("nfkc"));
  EXPECT_LT(nfkc.compiled().size(), 300000u);
  const auto mapped = [](const CharsMap& map, std::string_view text) {
    const CharsMap::Match m = longest(map, text);
    return fmt::format("{}:{}", m.length, m.replacement);
  };
  EXPECT_EQ(mapped(nfkc, "\uFB01"), "3:fi");
  EXPECT_EQ(mapped(nfkc, "e\u0301"), "3:\u00e9");
  EXPECT_EQ(mapped(nfkc, "\uFF76\uFF9E"), "6:\u30AC");
  EXPECT_EQ(mapped(nfkc, "\u1100\u1161\u11A8"), "9:\uAC01");
  EXPECT_EQ(mapped(nfkc, "\t"), "0:");
  EXPECT_EQ(mapped(nfkc, "\uFF5E"), "3:~");
  const CharsMap nmt = CharsMap::build(*named_charsmap_rules("nmt_nfkc"));
  EXPECT_EQ(mapped(nmt, "\t"), "1: ");
  EXPECT_EQ(mapped(nmt, "\x01"), "1:");
  EXPECT_EQ(mapped(nmt, "\uFF5E"), "0:");
  const CharsMap folded = CharsMap::build(*named_charsmap_rules("nmt_nfkc_cf"));
  EXPECT_EQ(mapped(folded, "\uFF21"), "3:a");
  EXPECT_EQ(mapped(folded, "Q"), "1:q");
}

TEST(Base64, ThereAndBack) {
  testing::Dice dice(6);
  for (size_t n = 0; n < 40; ++n) {
    const std::string bytes = testing::random_bytes(dice, n);
    EXPECT_EQ(to_base64(bytes).size(), (n + 2) / 3 * 4);
    EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
  }
  EXPECT_EQ(to_base64("light w"), "bGlnaHQgdw==");
  EXPECT_FALSE(from_base64("abc"));
  EXPECT_FALSE(from_base64("ab.d"));
}

std::string clusters(std::string_view text) {
  std::string out;
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  while (p < end) {
    const uint8_t* q = grapheme_end(p, end);
    out.append(p, q) += '|';
    p = q;
  }
  return out;
}

TEST(Grapheme, Clusters) {
  for (const char* text :
       {"a|b|", "\r\n|\n|\r|", "e\u0301\u0316|x|", "\u1100\u1161\u11A8|\uAC00|", "\u0301|",
        "\U0001F468\u200D\U0001F469\u200D\U0001F467|", "\U0001F1E9\U0001F1EA|\U0001F1EB|",
        "a\u200D|\U0001F680|", "\n|\u0301|", "\xFF|\x80|\u00e9|", "\u0600a|"}) {
    std::string plain;
    for (const char c : std::string_view(text))
      if (c != '|') plain += c;
    EXPECT_EQ(clusters(plain), text);
  }
}

}  // namespace
}  // namespace lathe
