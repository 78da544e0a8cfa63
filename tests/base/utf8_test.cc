#include "lathe/base/utf8.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

std::vector<char32_t> units(std::string_view text) {
  std::vector<char32_t> values;
  const uint8_t *p = as_bytes(text), *end = p + text.size();
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    values.push_back(c.value);
    p += c.size;
  }
  return values;
}

TEST(Utf8, EveryScalarValueRoundTrips) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    const uint8_t *p = as_bytes(text), *end = p + text.size();
    const CodePoint forward = decode_utf8(p, end), backward = decode_utf8_before(p, end);
    ASSERT_TRUE(forward.value == c);
    ASSERT_EQ(forward.size, text.size());
    ASSERT_TRUE(backward.value == c);
    ASSERT_EQ(incomplete_utf8_tail(text), 0u);
    for (size_t n = 1; n < text.size(); ++n)
      ASSERT_EQ(incomplete_utf8_tail(std::string_view(text).substr(0, n)), n);
  }
}

TEST(Utf8, InvalidBytesAreUnitsOfOne) {
  const char32_t bad = kInvalidByte;
  EXPECT_TRUE((units("\xC0\x80") == std::vector<char32_t>{bad, bad}));           // overlong
  EXPECT_TRUE((units("\xED\xA0\x80") == std::vector<char32_t>{bad, bad, bad}));  // surrogate
  EXPECT_EQ(units("\xF4\x90\x80\x80").size(), 4u);                               // above U+10FFFF
  EXPECT_TRUE((units("\xE4\xB8"
                     "a") == std::vector<char32_t>{bad, bad, 'a'}));  // cut short
  EXPECT_TRUE((units("\x80\xFF") == std::vector<char32_t>{bad, bad}));
  EXPECT_FALSE(is_valid_utf8("ok \xF0\x9F\x91"));
  EXPECT_TRUE(is_valid_utf8("long enough ascii, then \xF0\x9F\x91\xA9"));
  EXPECT_EQ(replace_invalid_utf8("a\xFF"), "a\xEF\xBF\xBD");
}

TEST(Utf8, TailsThatCannotBecomeValidAreNotIncomplete) {
  EXPECT_EQ(incomplete_utf8_tail("\xED\xA0"), 0u);
  EXPECT_EQ(incomplete_utf8_tail("\xE0\x80"), 0u);
  EXPECT_EQ(incomplete_utf8_tail("\xF4\x90"), 0u);
  EXPECT_EQ(incomplete_utf8_tail("\xFF"), 0u);
  EXPECT_EQ(incomplete_utf8_tail("\x80"), 0u);
  EXPECT_EQ(incomplete_utf8_tail(""), 0u);
}

// The examples of table 3-8 and 3-11 of the Unicode standard, and what is cut at the end.
TEST(Utf8, ReadableTextHasOneMarkForEachBrokenSequence) {
  const std::string mark = "\xEF\xBF\xBD";
  const auto marks = [&](int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += mark;
    return out;
  };
  EXPECT_EQ(readable_utf8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a" + marks(3) + "b" + mark + "c" + marks(2) + "d");
  EXPECT_EQ(readable_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), marks(8) + "A");
  EXPECT_EQ(readable_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), marks(8) + "A");
  EXPECT_EQ(readable_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), marks(5) + "A" + marks(2) + "B");
  EXPECT_EQ(readable_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), marks(4) + "A");
  EXPECT_EQ(readable_utf8("x\xF0\x9F\x98"), "x" + mark);
  EXPECT_EQ(readable_utf8("\xE7\x8C\xAB"), "\xE7\x8C\xAB");
}

}  // namespace
}  // namespace lathe
