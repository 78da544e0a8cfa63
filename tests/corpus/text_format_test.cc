#include "lathe/corpus/text_format.h"

#include <gtest/gtest.h>

#include "io/packing.h"
#include "lathe/base/rng.h"

namespace lathe {
namespace {

using namespace std::string_literals;

TEST(TextFormat, NamesOfTexts) {
  for (const char* name : {"a", "a.txt", "b.TXT", "a.text", "a.md", "a.json", "a.jsonl", "a.ndjson",
                           "a.gz", "a.txt.gz", "a.jsonl.zst", "dir.d/a.json.GZ"})
    EXPECT_TRUE(is_text_name(name)) << name;
  for (const char* name : {"a.png", "a.tar.gz", "a.csv", "a.txt.bak", "a.html.zst", "a.7"})
    EXPECT_FALSE(is_text_name(name)) << name;
}

TEST(TextFormat, TheContentDecidesAndThenTheName) {
  const auto format = [](std::string_view head, const char* name = "f.txt") {
    return text_format(head, name);
  };
  for (const char* name : {"f", "f.txt", "f.json", "f.jsonl", "f.gz"}) {
    EXPECT_EQ(format("{\"text\": \"a\"}\n{\"text\": \"b\"}\n", name), TextFormat::kJsonLines);
    EXPECT_EQ(format(" [\n {\"text\": \"a\"}", name), TextFormat::kJsonValues);
    EXPECT_EQ(format("[\"a\", \"b\"]", name), TextFormat::kJsonValues);
    EXPECT_EQ(format("[]", name), TextFormat::kJsonValues);
  }
  for (const char* name : {"f", "f.txt", "f.json"})
    EXPECT_EQ(format("{\n  \"text\": \"a\"\n}\n", name), TextFormat::kJsonValues) << name;
  EXPECT_EQ(format("{\"text\": ", "f.jsonl"), TextFormat::kJsonLines) << "so that damage is found";
  EXPECT_EQ(format("hello", "f.json"), TextFormat::kJsonValues);
  EXPECT_EQ(format("[1, 2]", "f.jsonl"), TextFormat::kJsonValues);
  EXPECT_EQ(format("{\"text\": \"" + std::string(kHeadBytes, 'x')), TextFormat::kJsonLines);
  EXPECT_EQ(format("[\"" + std::string(kHeadBytes, 'x')), TextFormat::kJsonValues);
  for (const char* plain :
       {"", "{", "[", "Once", "[1] See the notes", "[link](x)", "{ int x; }", "\"Yes,\" he said.",
        "[\"Yes\" he said]", "{\\em x}", "{\"a\" b}", "{{title}}", "[[Page]]", "[\"open"})
    EXPECT_EQ(format(plain), TextFormat::kPlain) << plain;
}

TEST(TextFormat, WhatIsNoTextSaysWhatItIs) {
  const auto expect = [](std::string_view head, const std::string& part) {
    const auto why = why_not_text(head);
    ASSERT_TRUE(why.has_value()) << part;
    EXPECT_NE(why->find(part), std::string::npos) << *why;
  };
  expect("\xFF\xFEh\0i\0"s, "iconv -f UTF-16 ");
  expect("\xFE\xFF\0h\0i"s, "iconv -f UTF-16 ");
  expect("\xFF\xFE\0\0h\0\0\0"s, "UTF-32");
  expect("h\0e\0l\0l\0o\0"s, "iconv -f UTF-16LE");
  expect("\0h\0e\0l\0l\0o"s, "iconv -f UTF-16BE");
  expect("PK\x03\x04rest", "zip archive");
  expect(
      "\xFD"
      "7zXZ\0rest"s,
      "xz -d");
  expect("BZh91AY&SY", "bzip2 -d");
  expect("%PDF-1.4\n", "pdftotext");
  expect(std::string(257, 'x') + "ustar", "tar -x");
  expect(testing::gzip_packed("x"), "twice");
  std::string noise;
  for (uint64_t i = 0; i < 5000; ++i) noise += static_cast<char>(Rng(1).below(i, 256));
  expect(noise, "is not UTF-8 text");
  expect("\xCF\xF0\xE8\xE2\xE5\xF2 \xEC\xE8\xF0", "another encoding");  // Cyrillic in CP1251
}

TEST(TextFormat, TextsWithSingleOddBytesPass) {
  for (const std::string& text :
       {""s, "plain"s, "caf\xE9 au lait"s, "\x1B[1mbold\x1B[0m\f\b_\n"s, "中文，没有空格"s,
        "a stray \0 zero in a line"s, "中文"s.substr(0, 5)})
    EXPECT_FALSE(why_not_text(text).has_value()) << text;
}

}  // namespace
}  // namespace lathe
