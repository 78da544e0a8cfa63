#include "lathe/io/hash.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "lathe/io/crc32c.h"
#include "lathe/io/json_file.h"

namespace lathe {
namespace {

// The empty input's value is the published one of XXH3-128.
TEST(Hash, KnownValueAndPieces) {
  EXPECT_EQ(hash_text(""), "99aa06d3014798d86001c324468d497f");
  std::string text;
  for (int i = 0; i < 100000; ++i) text += static_cast<char>(i * 7);
  Hasher hasher;
  for (size_t at = 0; at < text.size(); at += 777)
    hasher.update(std::string_view(text).substr(at, 777));
  EXPECT_EQ(hasher.hex(), hash_text(text));
  const TempFolder folder;
  EXPECT_EQ(hash_file(folder.write("f", text)), hash_text(text));
  text[50000] ^= 1;
  EXPECT_NE(hasher.hex(), hash_text(text));
}

TEST(Hash, FoldersPrefixesAndWhatIsLeftOut) {
  const TempFolder a, b;
  for (const auto* folder : {&a, &b}) {
    folder->write("d/x", "1");
    folder->write("d/sub/y", "2");
  }
  EXPECT_EQ(hash_artefact(a / "d"), hash_artefact(b / "d"));
  b.write("d/lathe.manifest.json", "{}");
  EXPECT_EQ(hash_artefact(a / "d"), hash_artefact(b / "d"));
  b.write("d/sub/z", "");
  EXPECT_NE(hash_artefact(a / "d"), hash_artefact(b / "d"));
  a.write("p.bin", "1");
  EXPECT_NE(error_text([&] { hash_artefact(a / "p"); }).find("neither"), std::string::npos);
  a.write("p.idx", "2");
  const std::string before = hash_artefact(a / "p");
  a.write("p.idx", "3");
  EXPECT_NE(hash_artefact(a / "p"), before);
  EXPECT_NE(error_text([] { hash_artefact("/dev/null"); }).find("device"), std::string::npos);
}

// RFC 3720 B.4 and the usual check value.
TEST(Crc32c, KnownVectors) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  std::string rising, falling;
  for (int i = 0; i < 32; ++i) {
    rising += static_cast<char>(i);
    falling += static_cast<char>(31 - i);
  }
  EXPECT_EQ(crc32c(rising), 0x46DD794Eu);
  EXPECT_EQ(crc32c(falling), 0x113FDB5Cu);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(JsonFile, RoundTripAndErrors) {
  const TempFolder folder;
  const auto value = parse_json(R"({"b": [1, 2.5, null], "a": "\u00e9"})", "t");
  write_json_file(folder / "f.json", value);
  EXPECT_EQ(read_json_file(folder / "f.json"), value);
  EXPECT_EQ(content_of(folder / "f.json").back(), '\n');
  folder.write("bad.json", "{\n  \"a\": tru\n}");
  const std::string text = error_text([&] { read_json_file(folder / "bad.json"); });
  EXPECT_NE(text.find("bad.json:2:"), std::string::npos) << text;
  nlohmann::ordered_json invalid;
  invalid["x"] = "\xFF";
  EXPECT_NE(error_text([&] { write_json_file(folder / "f.json", invalid); }).find("as JSON"),
            std::string::npos);
  EXPECT_EQ(read_json_file(folder / "f.json"), value) << "the old file must survive";
}

}  // namespace
}  // namespace lathe
