#include "lathe/io/packed_file.h"

#include <gtest/gtest.h>

#include "io/packing.h"
#include "io/temp_folder.h"

namespace lathe {
namespace {

using namespace std::string_literals;
using testing::gzip_packed;
using testing::zstd_packed;

// Long enough for many windows, and not the same everywhere.
std::string long_text() {
  std::string text;
  for (int i = 0; i < 60000; ++i) text += fmt::format("line {} of {}\n", i, i * 7919 % 1013);
  return text;
}

std::string read_all(PackedFile& file, size_t step = 10007) {
  std::string out, piece(step, '\0');
  while (const size_t got = file.read(piece)) out.append(piece, 0, got);
  EXPECT_EQ(file.read(piece), 0u) << "the end is the end";
  return out;
}

class PackedFiles : public ::testing::Test {
 protected:
  std::string content(const std::string& bytes, size_t step = 10007) {
    PackedFile file(folder_.write("f", bytes));
    return read_all(file, step);
  }
  std::string error(const std::string& bytes) {
    return error_text([&] { content(bytes); });
  }
  TempFolder folder_;
};

TEST_F(PackedFiles, ContentIsTheSameHoweverItIsPacked) {
  for (const std::string& text : {""s, "x"s, "short\n"s, long_text()}) {
    for (const size_t step : {size_t{1} << 20, size_t{4096}, size_t{997}}) {
      EXPECT_EQ(content(text, step), text);
      EXPECT_EQ(content(gzip_packed(text), step), text);
      EXPECT_EQ(content(zstd_packed(text), step), text);
    }
  }
}

TEST_F(PackedFiles, MembersAndFramesFollowOneAnother) {
  const std::string a = long_text(), b = "and more\n";
  EXPECT_EQ(content(gzip_packed(a) + gzip_packed("") + gzip_packed(b)), a + b);
  EXPECT_EQ(content(zstd_packed(b) + zstd_packed("") + zstd_packed(a)), b + a);
  const std::string skippable = "\x53\x2A\x4D\x18\x04\0\0\0skip"s;
  EXPECT_EQ(content(skippable + zstd_packed(a) + skippable + zstd_packed(b)), a + b);
  EXPECT_EQ(content(gzip_packed(b) + std::string(1000, '\0')), b) << "padding";
}

TEST_F(PackedFiles, TruncatedAndDamagedDataIsNamed) {
  const std::string text = long_text();
  for (const std::string& packed : {gzip_packed(text), zstd_packed(text)}) {
    for (const size_t left : {size_t{5}, size_t{9}, size_t{20}, packed.size() / 2,
                              packed.size() - 9, packed.size() - 1}) {
      const std::string said = error(packed.substr(0, left));
      EXPECT_NE(said.find("/f] ends after"), std::string::npos) << left << ": " << said;
      EXPECT_NE(said.find("truncated"), std::string::npos) << said;
    }
    std::string damaged = packed;
    for (size_t i = packed.size() / 2; i < packed.size() / 2 + 50; ++i) damaged[i] ^= 0x5A;
    EXPECT_NE(error(damaged).find("/f] holds damaged"), std::string::npos) << error(damaged);
    EXPECT_NE(error(packed + "tail").find("damaged"), std::string::npos);
  }
}

// Frames written by hand: magic, descriptor, window, dictionary, an empty last block.
TEST_F(PackedFiles, WhatZstdWantsMoreForIsSaid) {
  const std::string magic = "\x28\xB5\x2F\xFD", block = "\x01\0\0"s;
  EXPECT_EQ(content(magic + "\0\0"s + block), "") << "a window of 1 KiB";
  EXPECT_NE(error(magic + "\0\xA8"s + block).find("a window of more than 128 MiB"),
            std::string::npos);
  EXPECT_NE(error(magic + "\x01\0\x07"s + block).find("with a dictionary"), std::string::npos);
}

TEST_F(PackedFiles, PeekingConsumesNothing) {
  const std::string text = long_text();
  for (const std::string& bytes : {text, gzip_packed(text), zstd_packed(text)}) {
    PackedFile file(folder_.write("f", bytes));
    EXPECT_EQ(file.peek(10), text.substr(0, 10));
    EXPECT_EQ(file.peek(100000), text.substr(0, 100000));
    std::string three(3, '\0');
    EXPECT_EQ(file.read(three), 3u);
    EXPECT_EQ(file.peek(4), text.substr(3, 4));
    EXPECT_EQ(three + read_all(file), text);
    EXPECT_EQ(file.file_bytes(), static_cast<int64_t>(bytes.size()));
    EXPECT_EQ(file.peek(5), "");
  }
  EXPECT_EQ(PackedFile(folder_.write("e", "")).peek(5), "");
}

TEST_F(PackedFiles, FoldersAndMissingFilesAreErrors) {
  EXPECT_NE(error_text([&] { PackedFile file(folder_.path()); }).find("is a directory"),
            std::string::npos);
  EXPECT_NE(error_text([&] { PackedFile file(folder_ / "none"); }).find("cannot be opened"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
