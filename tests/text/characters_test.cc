#include <gtest/gtest.h>

#include "lathe/base/utf8.h"
#include "lathe/text/byte_alphabet.h"
#include "lathe/text/split/char_class.h"
#include "text/random_text.h"

namespace lathe {
namespace {

TEST(CharClass, ExactlyOneMainClass) {
  const CharClasses& classes = CharClasses::get();
  int letters = 0, spaces = 0;
  for (char32_t c = 0; c < 0x110000; ++c) {
    const uint8_t main = classes.of(c) & (kLetter | kNumber | kSpace | kOther);
    ASSERT_EQ(main & (main - 1), 0) << static_cast<uint32_t>(c);
    ASSERT_NE(main, 0) << static_cast<uint32_t>(c);
    letters += main == kLetter;
    spaces += main == kSpace;
  }
  EXPECT_EQ(spaces, 25);
  EXPECT_GE(letters, 131000);  // Unicode 13 or later
  EXPECT_EQ(classes.of(kInvalidByte), kOther);
  EXPECT_TRUE(classes.of(0x301) & kMark);
}

TEST(ByteAlphabet, RoundTripsEveryByte) {
  std::string all;
  for (int b = 0; b < 256; ++b) all.push_back(static_cast<char>(b));
  EXPECT_EQ(from_byte_alphabet(to_byte_alphabet(all)), all);
  EXPECT_EQ(to_byte_alphabet(" a\n\xC2\xAD"), "ĠaĊÂŃ");
  EXPECT_FALSE(from_byte_alphabet("a b").has_value());
  EXPECT_FALSE(from_byte_alphabet("▁").has_value());
}

}  // namespace
}  // namespace lathe
