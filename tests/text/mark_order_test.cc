#include "lathe/text/normalize/mark_order.h"

#include <gtest/gtest.h>
#include <unicode/bytestream.h>
#include <unicode/stringpiece.h>

#include "lathe/base/utf8.h"
#include "lathe/text/normalize/normalizer.h"
#include "text/random_text.h"

namespace lathe {
namespace {

// Marks of many classes, some of which decompose into several, and two that stand still alone but
// decompose into marks that do not (U+0F73; the halfwidth U+FF9E, for the K forms only).
const std::u32string kMarks =
    U"\u0301\u0308\u0316\u0327\u0344\u0340\u05B4\u064B\u0F71\u0F73\u0F81"
    U"\u3099\uFF9E\U0001D165\u0345";

const icu::Normalizer2& form(const char* name) {
  UErrorCode status = U_ZERO_ERROR;
  const auto* made = icu::Normalizer2::getInstance(
      nullptr, name[2] == 'K' ? "nfkc" : "nfc",
      name[std::string_view(name).size() - 1] == 'C' ? UNORM2_COMPOSE : UNORM2_DECOMPOSE, status);
  EXPECT_TRUE(U_SUCCESS(status));
  return *made;
}

// By the library alone.
std::string plain(const char* name, std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  form(name).normalizeUTF8(0, {text.data(), static_cast<int32_t>(text.size())}, sink, nullptr,
                           status);
  EXPECT_TRUE(U_SUCCESS(status));
  return out;
}

std::string normalized(const char* name, std::string_view text) {
  const Normalizer normalizer = Normalizer::from_json({{"type", name}}, "test");
  std::string buffer;
  return std::string(normalizer.apply(text, buffer).text);
}

std::string random_marks(testing::Dice& dice, size_t count) {
  std::string text;
  while (count-- > 0) append_utf8(text, kMarks[dice.below(kMarks.size())]);
  return text;
}

TEST(MarkOrder, EveryFormIsWhatItWas) {
  testing::Dice dice(5);
  int ordered = 0;
  for (int round = 0; round < 60; ++round) {
    std::string text;
    for (int i = 0; i < 6; ++i) {
      text += testing::random_text(dice, dice.below(4));
      text += random_marks(dice, dice.below(200));
    }
    for (const char* name : {"NFC", "NFD", "NFKC", "NFKD"})
      ASSERT_EQ(normalized(name, text), plain(name, text)) << name << ' ' << text;
    std::string out;
    ordered += order_long_mark_runs(text, form("NFD"), 0, out);
  }
  EXPECT_GT(ordered, 20);
}

TEST(MarkOrder, LongTextsComeToTheirFormInPieces) {
  testing::Dice dice(6);
  std::string text(40000, 'e');
  while (text.size() < 150000) {
    text += testing::random_text(dice, 3) + random_marks(dice, dice.below(4));
    text += std::string(dice.below(4), 'e');
  }
  for (const char* name : {"NFC", "NFD", "NFKC", "NFKD"})
    EXPECT_EQ(normalized(name, text), plain(name, text)) << name;
}

TEST(MarkOrder, LeavesShortRunsAlone) {
  std::string out, text = "a";
  while (text.size() < kLongMarkRun - 1) text += "\u0301";
  EXPECT_FALSE(order_long_mark_runs(text, form("NFD"), 0, out));
  EXPECT_FALSE(order_long_mark_runs("", form("NFD"), 0, out));
  EXPECT_FALSE(order_long_mark_runs(std::string(4000, 'x'), form("NFD"), 0, out));
}

TEST(MarkOrder, SortsStablyAndWithinARunOnly) {
  std::string high, low;
  for (int i = 0; i < 50; ++i) high += "\u0301\u0308", low += "\u0316";
  std::string out;
  ASSERT_TRUE(
      order_long_mark_runs("a" + high + low + "b" + high + "\xFF" + low, form("NFD"), 0, out));
  EXPECT_EQ(out, "a" + low + high + "b" + high + "\xFF" + low);
}

TEST(MarkOrder, MarksNewerThanTheFormsStay) {
  // U+0898 is of Unicode 14 and has class 230; the library's tables are those of Unicode 9.
  std::string high, low;
  for (int i = 0; i < 50; ++i) high += "\u0301", low += "\u0316";
  const std::string text = "a" + high + low + "\u0898" + low + high + low;
  EXPECT_EQ(normalized("NFD", text), "a" + low + high + "\u0898" + low + low + high);
  EXPECT_EQ(normalized("NFC", "a\u0898\u0301"), "a\u0898\u0301");
}

TEST(MarkOrder, HalfAMillionMarksInDescendingOrder) {
  // By insertion these are 6 * 10^10 steps.
  std::string high, low;
  for (int i = 0; i < 250000; ++i) high += "\u0301", low += "\u0316";
  EXPECT_EQ(normalized("NFC", "x" + high + low), "x" + low + high);
  // One character that decomposes into two classes.
  std::string both, first, second;
  for (int i = 0; i < 200000; ++i) both += "\u0F73", first += "\u0F71", second += "\u0F72";
  EXPECT_EQ(normalized("NFC", both), first + second);
}

}  // namespace
}  // namespace lathe
