#include "lathe/text/split/regex.h"

#include <gtest/gtest.h>

#include "lathe/base/error.h"

namespace lathe {
namespace {

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  std::vector<std::string> found;
  Regex(pattern, "test").for_each_match(text, [&](size_t begin, size_t end) {
    found.emplace_back(text.substr(begin, end - begin));
  });
  return found;
}

using Found = std::vector<std::string>;

TEST(Regex, WhiteSpaceIsTheUnicodeProperty) {
  EXPECT_EQ(matches(R"(\s)", "a\u0085\u00a0\u180e\u3000"), (Found{"\u0085", "\u00a0", "\u3000"}));
  EXPECT_EQ(matches(R"([^\s]+)", "ab c"), (Found{"ab", "c"}));
}

TEST(Regex, OnigurumaDialect) {
  EXPECT_EQ(matches(R"(\h+)", "xyz0aFg"), (Found{"0aF"}));
  EXPECT_EQ(matches(R"([\h_]+)", "zz_1f"), (Found{"_1f"}));
  EXPECT_EQ(matches(R"(^\w+$)", "ab\nc d\nef"), (Found{"ab", "ef"}));
  EXPECT_EQ(matches(R"((?m:a.b))", "a\nb"), (Found{"a\nb"}));
  EXPECT_EQ(matches(R"(a.b)", "a\nb"), Found{});
  EXPECT_EQ(matches(R"(\p{Han}+)", "漢字かな、。"), (Found{"漢字"}));  // not U+3001 by extension
  EXPECT_EQ(matches(R"(\p{^Han}+)", "漢字かな"), (Found{"かな"}));
  EXPECT_EQ(matches(R"([]x]+)", "a]x"), (Found{"]x"}));
}

TEST(Regex, EmptyMatchesAdvanceByCharacter) {
  // As Oniguruma's users do it: nothing is found twice, so not right behind a match either.
  EXPECT_EQ(matches("x*", "éxé"), (Found{"", "x", ""}));
  EXPECT_EQ(matches("", "éx"), (Found{"", "", ""}));
}

TEST(Regex, RefusesWhatItCannotRun) {
  EXPECT_THROW(Regex("[a&&b]", "test"), Error);
  EXPECT_THROW(Regex("[a[b]]", "test"), Error);
  EXPECT_THROW(Regex("(unclosed", "test"), Error);
  EXPECT_THROW(Regex(R"(\p{NoSuchProperty})", "test"), Error);
  EXPECT_THROW(Regex(R"(a\)", "test"), Error);
  EXPECT_THROW(Regex("[", "test"), Error);
  EXPECT_THROW(Regex(std::string(100000, 'a'), "test"), Error);
}

TEST(Regex, UnboundedBacktrackingIsAnErrorNotAHang) {
  const std::string text(40, 'a');
  EXPECT_THROW(matches(R"(^(a|a|a|aa)+[xy]$)", text), Error);
}

TEST(Regex, LongTextsAreLinear) {
  const std::string spaces(100000, ' ');
  EXPECT_EQ(matches(R"(\s*[\r\n]+|\s+(?!\S)|\s+)", spaces + "x").size(), 2u);
}

}  // namespace
}  // namespace lathe
