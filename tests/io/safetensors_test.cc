#include "lathe/io/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "io/temp_folder.h"

namespace lathe {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string file_with(const std::string& header, const std::string& data, int64_t length = -1) {
  const uint64_t n = length < 0 ? header.size() : static_cast<uint64_t>(length);
  std::string file(8, '\0');
  std::memcpy(file.data(), &n, 8);
  return file + header + data;
}

std::string sample() {
  return file_with(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"BF16","shape":[1,3],"data_offsets":[8,14]}}   )",
      std::string("\0\0\x80\x3f\0\0\0\x40", 8) + "abcdef");
}

TEST(Safetensors, ReadsArraysAndMetadata) {
  const std::string file = sample();
  SafetensorsMetadata metadata;
  const auto arrays = parse_safetensors(bytes_of(file), "f", &metadata);
  ASSERT_EQ(arrays.size(), 2u);
  EXPECT_EQ(arrays[0].name, "a");
  EXPECT_EQ(arrays[0].shape, (std::vector<int64_t>{2}));
  float values[2];
  std::memcpy(values, arrays[0].bytes.data(), 8);
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], 2.0f);
  EXPECT_EQ(arrays[1].dtype, "BF16");
  EXPECT_EQ(arrays[1].shape, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(arrays[1].bytes.size(), 6u);
  EXPECT_EQ(metadata.at("format"), "pt");
}

TEST(Safetensors, ScalarsAndEmptyArrays) {
  const std::string file = file_with(R"({"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                                     R"("e":{"dtype":"F32","shape":[0,5],"data_offsets":[8,8]}})",
                                     "12345678");
  const auto arrays = parse_safetensors(bytes_of(file), "f");
  ASSERT_EQ(arrays.size(), 2u);
  EXPECT_TRUE(arrays[1].bytes.empty());
  EXPECT_TRUE(parse_safetensors(bytes_of(file_with("{}", "")), "f").empty());
}

struct Bad {
  const char* why;
  std::string file;
};

std::string one(const std::string& entry, size_t data_bytes) {
  return file_with("{\"a\":" + entry + "}", std::string(data_bytes, 'x'));
}

TEST(Safetensors, MalformedFilesAreFormatErrors) {
  const std::string good = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const std::vector<Bad> table = {
      {"too few", ""},
      {"too few", "1234567"},
      {"declares a header", file_with("{}", "", 3)},
      {"declares a header", file_with("{}", "", INT64_MAX)},
      {"declares a header", std::string(8, '\xFF') + "{}"},
      {"not valid JSON", file_with("{", "")},
      {"not valid JSON", file_with("", "")},
      {"not a JSON object", file_with("[]", "")},
      {"given twice", file_with("{\"a\":" + good + ",\"a\":" + good + "}", "12345678")},
      {"nested deeper", file_with(std::string(100, '['), "")},
      {"__metadata__ is not", file_with(R"({"__metadata__":1})", "")},
      {"is not a string", file_with(R"({"__metadata__":{"a":1}})", "")},
      {"exactly dtype", one("1", 0)},
      {"exactly dtype", one(R"({"dtype":"F32","shape":[2]})", 8)},
      {"unknown dtype 'F33'", one(R"({"dtype":"F33","shape":[2],"data_offsets":[0,8]})", 8)},
      {"no dtype", one(R"({"dtype":4,"shape":[2],"data_offsets":[0,8]})", 8)},
      {"no shape", one(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})", 8)},
      {"shape extent", one(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})", 8)},
      {"shape extent", one(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})", 8)},
      {"no pair", one(R"({"dtype":"F32","shape":[2],"data_offsets":[8]})", 8)},
      {"data offset", one(R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})", 8)},
      {"data offset",
       one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]})", 8)},
      {"need 8 bytes", one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", 4)},
      {"need 8 bytes", one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})", 8)},
      {"overflows",
       one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})", 0)},
      {"overflows",
       one(R"({"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]})", 0)},
      {"hole", one(R"({"dtype":"F32","shape":[2],"data_offsets":[4,12]})", 12)},
      {"truncated", one(good, 7)},
      {"follow the last", one(good, 9)},
      {"overlap",
       file_with("{\"a\":" + good + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                 "12345678")},
  };
  for (const auto& bad : table) {
    const std::string text = error_text([&] { parse_safetensors(bytes_of(bad.file), "f"); });
    EXPECT_NE(text.find(bad.why), std::string::npos)
        << "expected: " << bad.why << "\ngot: " << text;
    EXPECT_TRUE(text.starts_with("[f")) << text;
  }
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const std::string file = sample();
  for (size_t n = 0; n < file.size(); ++n) {
    // A copy of exactly n bytes, so that a sanitiser sees any read beyond them.
    const std::vector<char> part(file.begin(), file.begin() + static_cast<ptrdiff_t>(n));
    EXPECT_THROW(parse_safetensors(std::as_bytes(std::span(part)), "f"), Error) << n;
  }
}

TEST(Safetensors, EveryBitFlipIsAnErrorOrStaysInside) {
  const std::string file = sample();
  size_t refused = 0;
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::vector<char> flipped(file.begin(), file.end());
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    try {
      const auto arrays = parse_safetensors(std::as_bytes(std::span(flipped)), "f");
      unsigned sum = 0;
      for (const auto& array : arrays)
        for (const std::byte b : array.bytes) sum += std::to_integer<unsigned>(b);
      EXPECT_GT(sum, 0u);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kFormat);
      ++refused;
    }
  }
  EXPECT_GT(refused, file.size());  // the header is most of the file
}

TEST(Safetensors, WriterRoundTripAlignedHeader) {
  const TempFolder folder;
  const std::string a = "12345678", b = "ab";
  const std::vector<ArraySpan> arrays = {{"z.weight", "F32", {2}, bytes_of(a)},
                                         {"a\"b\n", "F16", {1, 1}, bytes_of(b)},
                                         {"none", "I64", {0}, {}}};
  write_safetensors(folder / "m.safetensors", arrays, {{"format", "pt"}});
  const SafetensorsReader reader(folder / "m.safetensors");
  ASSERT_EQ(reader.arrays().size(), 3u);
  EXPECT_EQ(reader.metadata().at("format"), "pt");
  ASSERT_NE(reader.find("a\"b\n"), nullptr);
  EXPECT_EQ(std::memcmp(reader.find("a\"b\n")->bytes.data(), "ab", 2), 0);
  EXPECT_EQ(reader.find("z.weight")->shape, (std::vector<int64_t>{2}));
  EXPECT_EQ(reader.find("absent"), nullptr);
  uint64_t length = 0;
  std::memcpy(&length, content_of(folder / "m.safetensors").data(), 8);
  EXPECT_EQ(length % 8, 0u);
  EXPECT_EQ(entries_in(folder.path()), 1u) << "a temporary was left";
}

TEST(Safetensors, WriterKnowsTheHashOfItsFile) {
  const TempFolder folder;
  const std::vector<ArraySpan> arrays = {{"a", "U8", {3}, bytes_of("123")},
                                         {"b", "U8", {2}, bytes_of("45")}};
  SafetensorsWriter writer(folder / "m", SafetensorsWriter::announce(arrays));
  for (const ArraySpan& a : arrays) writer.write(a.bytes);
  writer.commit();
  EXPECT_EQ(writer.hash(), hash_file(folder / "m"));
}

TEST(Safetensors, WriterChecksWhatItIsGiven) {
  const TempFolder folder;
  using Announced = SafetensorsWriter::Announced;
  const auto make = [&](std::vector<Announced> list) {
    SafetensorsWriter(folder / "m", list).commit();
  };
  EXPECT_NE(error_text([&] { make({{"a", "F32", {1}}}); }).find("declares 4"), std::string::npos);
  EXPECT_NE(error_text([&] {
              make({{"a", "F32", {0}}, {"a", "F32", {0}}});
            }).find("used twice"),
            std::string::npos);
  EXPECT_NE(error_text([&] { make({{"a", "XX", {0}}}); }).find("unknown dtype"), std::string::npos);
  EXPECT_NE(error_text([&] { make({{"a", "F32", {-1}}}); }).find("negative"), std::string::npos);
  EXPECT_EQ(entries_in(folder.path()), 0u);
}

TEST(Safetensors, ShardedFolder) {
  const TempFolder folder;
  write_safetensors(
      folder / "one.safetensors",
      std::vector<ArraySpan>{{"a", "U8", {1}, bytes_of("1")}, {"extra", "U8", {1}, bytes_of("9")}});
  write_safetensors(folder / "two.safetensors",
                    std::vector<ArraySpan>{{"b", "U8", {1}, bytes_of("2")}});
  const auto index = folder.write(
      "model.safetensors.index.json",
      R"({"metadata":{"total_size":2},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  const SafetensorsReader reader(folder.path());
  ASSERT_EQ(reader.arrays().size(), 2u);
  EXPECT_EQ(reader.files().size(), 2u);
  EXPECT_EQ(static_cast<char>(reader.find("b")->bytes[0]), '2');
  EXPECT_EQ(reader.find("extra"), nullptr);
  EXPECT_EQ(SafetensorsReader(index).arrays().size(), 2u);
}

TEST(Safetensors, HostileIndexes) {
  const TempFolder folder;
  write_safetensors(folder / "one.safetensors",
                    std::vector<ArraySpan>{{"a", "U8", {1}, bytes_of("1")}});
  const auto text_for = [&](const std::string& json) {
    folder.write("model.safetensors.index.json", json);
    return error_text([&] { SafetensorsReader reader(folder.path()); });
  };
  for (const char* file : {"../one.safetensors", "/etc/passwd", "..", "", "x/y", "a\\\\b"})
    EXPECT_NE(text_for(R"({"weight_map":{"a":")" + std::string(file) + "\"}}")
                  .find("a file in the same folder"),
              std::string::npos)
        << file;
  EXPECT_NE(text_for("{}").find("no object 'weight_map'"), std::string::npos);
  EXPECT_NE(text_for(R"({"weight_map":{"a":3}})").find("not mapped"), std::string::npos);
  EXPECT_NE(text_for(R"({"weight_map":{"q":"one.safetensors"}})").find("does not have it"),
            std::string::npos);
  EXPECT_NE(text_for(R"({"weight_map":{"a":"no.safetensors"}})").find("No such file"),
            std::string::npos);
  const TempFolder empty;
  EXPECT_NE(error_text([&] { SafetensorsReader reader(empty.path()); }).find("has neither"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
