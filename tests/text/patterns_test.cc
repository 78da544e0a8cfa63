#include "lathe/text/split/patterns.h"

#include <gtest/gtest.h>

#include "lathe/base/utf8.h"
#include "lathe/text/split/regex.h"
#include "text/random_text.h"

namespace lathe {
namespace {

using Pieces = std::vector<std::string>;

Pieces scan(Pattern pattern, std::string_view text) {
  Pieces pieces;
  const PieceScanner next = pattern_info(pattern).next;
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  while (p < end) {
    const uint8_t* q = next(p, end);
    EXPECT_GT(q, p);
    EXPECT_LE(q, end);
    pieces.emplace_back(reinterpret_cast<const char*>(p), static_cast<size_t>(q - p));
    p = q;
  }
  return pieces;
}

Pieces match_all(const Regex& regex, std::string_view text) {
  Pieces pieces;
  regex.for_each_match(text, [&](size_t begin, size_t end) {
    pieces.emplace_back(text.substr(begin, end - begin));
  });
  return pieces;
}

TEST(Patterns, EqualTheirRegularExpressions) {
  for (const PatternInfo& info : kPreTokenizers) {
    std::vector<Regex> spellings;
    spellings.emplace_back(info.regex, "test");
    for (std::string_view s : info.spellings) spellings.emplace_back(s, "test");
    testing::Dice dice(7 + static_cast<uint64_t>(info.pattern));
    for (int round = 0; round < 1500; ++round) {
      const std::string text = testing::random_text(dice, 1 + dice.below(60));
      const Pieces fast = scan(info.pattern, text);
      for (const Regex& regex : spellings)
        ASSERT_EQ(fast, match_all(regex, text)) << info.name << " on '" << text << "'";
    }
  }
}

TEST(Patterns, EveryAsciiPairAndTripleOfClasses) {
  const std::string alphabet = "aZs'7 \n\r\t./_\x7f";
  for (const PatternInfo& info : kPreTokenizers) {
    const Regex regex(info.regex, "test");
    for (char a : alphabet)
      for (char b : alphabet)
        for (char c : alphabet)
          for (char d : alphabet) {
            const std::string text{a, b, c, d};
            ASSERT_EQ(scan(info.pattern, text), match_all(regex, text)) << info.name << text;
          }
  }
}

TEST(Patterns, InvalidBytesCountAsSymbols) {
  testing::Dice dice(3);
  for (const PatternInfo& info : kPreTokenizers) {
    const Regex regex(info.regex, "test");
    for (int round = 0; round < 300; ++round) {
      const std::string text = testing::random_bytes(dice, 1 + dice.below(40)) + "ab 12";
      Pieces replaced;
      for (const std::string& piece : scan(info.pattern, text))
        replaced.push_back(replace_invalid_utf8(piece));
      ASSERT_EQ(replaced, match_all(regex, replace_invalid_utf8(text)));
    }
  }
}

TEST(Patterns, Gpt2Literals) {
  EXPECT_EQ(scan(Pattern::kGpt2, "don't  DON'T we'll"),
            (Pieces{"don", "'t", " ", " DON", "'", "T", " we", "'ll"}));
  EXPECT_EQ(scan(Pattern::kGpt2, "a\n\n  b"), (Pieces{"a", "\n\n ", " b"}));
  EXPECT_EQ(scan(Pattern::kGpt2, "x=12345;"), (Pieces{"x", "=", "12345", ";"}));
  EXPECT_EQ(scan(Pattern::kGpt2, "中文 字。"), (Pieces{"中文", " 字", "。"}));
  EXPECT_EQ(scan(Pattern::kGpt2, "end  "), (Pieces{"end", "  "}));
}

TEST(Patterns, Cl100kLiterals) {
  EXPECT_EQ(scan(Pattern::kCl100k, "DON'T (see) 12345\n\n  x"),
            (Pieces{"DON", "'T", " (", "see", ")", " ", "123", "45", "\n\n", " ", " x"}));
  EXPECT_EQ(scan(Pattern::kCl100k, "it'\u017f ok.\r\n"), (Pieces{"it", "'\u017f", " ok", ".\r\n"}));
  EXPECT_EQ(scan(Pattern::kQwen2, "a123"), (Pieces{"a", "1", "2", "3"}));
}

TEST(Patterns, O200kLiterals) {
  EXPECT_EQ(scan(Pattern::kO200k, "camelCaseHTTPServer's ok/\n"),
            (Pieces{"camel", "Case", "HTTPServer's", " ok", "/\n"}));
  EXPECT_EQ(scan(Pattern::kO200k, "\u0301ABC"), (Pieces{"\u0301", "ABC"}));
}

TEST(Patterns, LongRunsAreScannedOnce) {
  // A quadratic scanner would need 10^11 steps here and never come back.
  for (const PatternInfo& info : kPreTokenizers) {
    for (const std::string unit :
         {" ", "a", "A", "9", "_", "\n", "\t ", "\u0301", "' ", "A\u0301"}) {
      std::string text;
      while (text.size() < 300000) text += unit;
      std::string joined;
      for (const std::string& piece : scan(info.pattern, text)) joined += piece;
      EXPECT_EQ(joined, text);
    }
  }
}

TEST(Patterns, AreFoundByNameAndByRegex) {
  for (const PatternInfo& info : kPreTokenizers) {
    EXPECT_EQ(find_pattern(info.name), info.pattern);
    ASSERT_TRUE(pattern_of_regex(info.regex).has_value());
    EXPECT_EQ(pattern_info(*pattern_of_regex(info.regex)).next, info.next);
    EXPECT_EQ(&pattern_info(info.pattern), &kPreTokenizers[static_cast<size_t>(info.pattern)]);
  }
  EXPECT_FALSE(find_pattern("gpt3").has_value());
}

}  // namespace
}  // namespace lathe
