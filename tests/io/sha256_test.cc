// Against the examples of FIPS 180-4.
#include "lathe/io/sha256.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"

namespace lathe {
namespace {

TEST(Sha256Of, TheExamplesOfTheStandard) {
  EXPECT_EQ(sha256_of_text(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of_text("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256Of, PartsAndFilesAreTheSame) {
  const TempFolder folder;
  const std::string text(3 << 20, 'a');
  Sha256 hash;
  hash.update(std::string_view(text).substr(0, 77));
  EXPECT_NE(hash.hex(), sha256_of_text(text));  // of what was added so far
  hash.update(std::string_view(text).substr(77));
  EXPECT_EQ(hash.hex(), sha256_of_text(text));
  EXPECT_EQ(sha256_of_file(folder.write("f", text)), sha256_of_text(text));
  EXPECT_NE(error_text([&] { sha256_of_file(folder / "nothing"); }).find("nothing"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
