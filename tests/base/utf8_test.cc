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

}  // namespace
}  // namespace lathe
