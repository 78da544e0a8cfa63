#include "lathe/io/mapped_file.h"

#include <gtest/gtest.h>

#include <numeric>

#include "io/temp_folder.h"
#include "lathe/base/process.h"

namespace lathe {
namespace {

int sum_of(std::span<const std::byte> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), 0,
                         [](int sum, std::byte b) { return sum + static_cast<int>(b); });
}

TEST(MappedFile, GivesBackTheMemoryOfWhatWasRead) {
  constexpr int64_t kSize = int64_t{32} << 20;
  const TempFolder folder;
  std::string text(static_cast<size_t>(kSize), '\x01');
  folder.write("file", text);
  text = std::string();
  const MappedFile file(folder / "file");
  const int64_t before = resident_bytes();
  EXPECT_EQ(sum_of(file.bytes()), kSize);
  EXPECT_GT(resident_bytes() - before, kSize / 2);
  // Not the pages at either end, of which a part is still to be read.
  file.drop(file.bytes().subspan(100, static_cast<size_t>(kSize) - 200));
  EXPECT_LT(resident_bytes() - before, kSize / 2);
  EXPECT_EQ(sum_of(file.bytes()), kSize);
  file.drop(file.bytes().first(10));
  file.drop({});
  EXPECT_EQ(sum_of(file.bytes()), kSize);
}

}  // namespace
}  // namespace lathe
