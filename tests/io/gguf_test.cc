#include "lathe/io/gguf.h"

#include <gtest/gtest.h>

#include <cstring>

#include "io/temp_folder.h"
#include "lathe/io/gguf_writer.h"
#include "paths.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
const fs::path kSmall = testing::tests_folder() / "io" / "goldens" / "small.gguf";

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// Puts a file together byte by byte.
struct Bytes {
  std::string out;
  template <class T>
  Bytes& put(T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  Bytes& text(std::string_view text) {
    put<uint64_t>(text.size());
    out += text;
    return *this;
  }
  Bytes& key(std::string_view name, GgufType type) {
    return text(name).put(static_cast<uint32_t>(type));
  }
  Bytes& list(GgufType element, uint64_t count) {
    return put(static_cast<uint32_t>(element)).put(count);
  }
  Bytes& tensor(std::string_view name, std::vector<uint64_t> extents, uint32_t type,
                uint64_t offset) {
    text(name).put(static_cast<uint32_t>(extents.size()));
    for (const uint64_t n : extents) put(n);
    return put(type).put(offset);
  }
  Bytes& data(size_t size) {
    out.resize((out.size() + 31) / 32 * 32);
    out.resize(out.size() + size, 'x');
    return *this;
  }
};

Bytes head(uint64_t tensors, uint64_t values, uint32_t version = 3) {
  Bytes bytes;
  bytes.out = "GGUF";
  return bytes.put(version).put(tensors).put(values);
}

std::string refusal(std::string_view file) {
  return error_text([&] { parse_gguf(bytes_of(file), "f"); });
}

TEST(Gguf, ReadsWhatThePythonPackageWrites) {
  const GgufReader file(kSmall);
  const GgufMetadata& m = file.metadata();
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(m.need<std::string_view>("general.architecture"), "llama");
  EXPECT_EQ(m.need<int32_t>("t.u8"), 200);
  EXPECT_EQ(m.need<int32_t>("t.i8"), -100);
  EXPECT_EQ(m.need<uint32_t>("t.u16"), 60000u);
  EXPECT_EQ(m.need<int64_t>("t.i16"), -30000);
  EXPECT_EQ(m.need<uint32_t>("t.u32"), 4000000000u);
  EXPECT_EQ(m.need<int32_t>("t.i32"), -2000000000);
  EXPECT_EQ(m.need<float>("t.f32"), 0.5f);
  EXPECT_EQ(m.need<bool>("t.bool"), true);
  EXPECT_EQ(m.need<std::string_view>("t.text"), "héllo");
  EXPECT_EQ(m.need<uint64_t>("t.u64"), (uint64_t{1} << 63) + 1);
  EXPECT_EQ(m.need<int64_t>("t.i64"), -(int64_t{1} << 62));
  EXPECT_EQ(m.need<double>("t.f64"), 1e300);
  EXPECT_EQ(m.need<std::vector<std::string_view>>("t.texts"),
            (std::vector<std::string_view>{"a", "", "▁wörld"}));
  EXPECT_EQ(m.need<std::vector<int32_t>>("t.ints"), (std::vector<int32_t>{1, -2, 3}));
  EXPECT_EQ(m.need<std::vector<float>>("t.floats"), (std::vector<float>{0.25f, -1.5f}));
  EXPECT_EQ(m.need<std::vector<bool>>("t.bools"), (std::vector<bool>{true, false}));
  EXPECT_EQ(m.need<std::span<const std::byte>>("t.bytes").back(), std::byte{255});
  EXPECT_EQ(describe(*m.find("t.lists")), "a list of 2 ARRAY");
}

TEST(Gguf, ReadsTheTensorsThePythonPackageWrites) {
  const GgufReader file(kSmall);
  ASSERT_EQ(file.arrays().size(), 3u);
  const ArraySpan& a = *file.find("a.weight");
  EXPECT_EQ(a.dtype, "F32");
  EXPECT_EQ(a.shape, (std::vector<int64_t>{2, 3}));
  float last;
  std::memcpy(&last, a.bytes.data() + 5 * sizeof(float), sizeof(float));
  EXPECT_EQ(last, 5.0f);
  EXPECT_EQ(file.find("b.weight")->bytes.size(), 8u);
  EXPECT_EQ(file.find("c.weight")->dtype, "Q8_0");
  EXPECT_EQ(file.find("c.weight")->shape, (std::vector<int64_t>{2, 32}));
  EXPECT_EQ(file.find("c.weight")->bytes.size(), 68u);
}

// The package writes a list of bytes as our own writer does, so the files are the same.
TEST(Gguf, CopyOfAFileIsTheFile) {
  const GgufReader file(kSmall);
  const TempFolder folder;
  GgufWriter writer(folder / "copy", 64);
  for (const auto& [key, value] : file.metadata().entries())
    if (key != "general.alignment") writer.add_value(key, value);
  for (const ArraySpan& array : file.arrays())
    writer.announce(array.name, array.dtype, array.shape);
  for (const ArraySpan& array : file.arrays()) {
    writer.write(array.bytes.first(1));
    writer.write(array.bytes.subspan(1));
  }
  writer.commit();
  const GgufReader copy(folder / "copy");
  ASSERT_EQ(copy.metadata().entries().size(), file.metadata().entries().size());
  for (const auto& [key, value] : file.metadata().entries()) {
    const GgufValue* other = copy.metadata().find(key);
    ASSERT_NE(other, nullptr) << key;
    EXPECT_EQ(describe(*other), describe(value));
    EXPECT_TRUE(std::ranges::equal(other->bytes, value.bytes)) << key;
  }
  for (const ArraySpan& array : file.arrays()) {
    EXPECT_EQ(copy.find(array.name)->shape, array.shape);
    EXPECT_TRUE(std::ranges::equal(copy.find(array.name)->bytes, array.bytes)) << array.name;
  }
  EXPECT_EQ(content_of(folder / "copy").size(), content_of(kSmall).size());
}

TEST(Gguf, WritesEveryTypeOfValue) {
  const TempFolder folder;
  GgufWriter writer(folder / "f");
  writer.add<bool>("bool", true);
  writer.add<uint8_t>("u8", 255);
  writer.add<int8_t>("i8", -1);
  writer.add<uint16_t>("u16", 65535);
  writer.add<int16_t>("i16", -2);
  writer.add<uint32_t>("u32", 7);
  writer.add<int32_t>("i32", -7);
  writer.add<uint64_t>("u64", UINT64_MAX);
  writer.add<int64_t>("i64", INT64_MIN);
  writer.add<float>("f32", 1.5f);
  writer.add<double>("f64", -2.5);
  writer.add_text("text", std::string_view("a\0b", 3));
  writer.add_texts("texts", std::vector<std::string>{"", "two"});
  writer.add_list<float>("floats", std::vector<float>{1, 2});
  writer.add_list<int32_t>("none", {});
  writer.commit();
  const GgufReader file(folder / "f");
  const GgufMetadata& m = file.metadata();
  EXPECT_EQ(m.entries().front().key, "bool");
  EXPECT_EQ(m.entries().back().key, "none");
  EXPECT_EQ(m.need<uint64_t>("u64"), UINT64_MAX);
  EXPECT_EQ(m.need<int64_t>("i64"), INT64_MIN);
  EXPECT_EQ(m.need<int32_t>("i8") + m.need<int32_t>("i16") + m.need<int32_t>("i32"), -10);
  EXPECT_EQ(m.need<int32_t>("u8") + m.need<int32_t>("u16") + m.need<int32_t>("u32"), 65797);
  EXPECT_EQ(m.need<double>("f32") + m.need<double>("f64"), -1.0);
  EXPECT_EQ(m.need<std::string_view>("text").size(), 3u);
  EXPECT_EQ(m.need<std::vector<std::string_view>>("texts")[1], "two");
  EXPECT_EQ(m.need<std::vector<double>>("floats"), (std::vector<double>{1, 2}));
  EXPECT_TRUE(m.need<std::vector<int64_t>>("none").empty());
  EXPECT_TRUE(file.arrays().empty());
}

TEST(Gguf, ErrorsNameFileKeyAndTypes) {
  const GgufReader file(kSmall);
  const GgufMetadata& m = file.metadata();
  const std::string where = "[" + kSmall.string() + "] key '";
  EXPECT_EQ(error_text([&] { m.get<std::string_view>("t.u8"); }),
            where + "t.u8': got UINT8, expected STRING");
  EXPECT_EQ(error_text([&] { m.get<std::vector<std::string_view>>("t.ints"); }),
            where + "t.ints': got a list of 3 INT32, expected a list of STRING");
  EXPECT_EQ(error_text([&] { m.get<std::vector<float>>("t.texts"); }),
            where + "t.texts': got a list of 3 STRING, expected a list of a number");
  EXPECT_EQ(error_text([&] { m.get<std::vector<int32_t>>("t.lists"); }),
            where + "t.lists': got a list of 2 ARRAY, expected a list of an integer");
  EXPECT_EQ(error_text([&] { m.get<uint32_t>("t.i32"); }),
            where + "t.i32': got -2000000000, which is out of range");
  EXPECT_EQ(error_text([&] { m.get<int64_t>("t.f32"); }),
            where + "t.f32': got FLOAT32, expected an integer");
  EXPECT_EQ(error_text([&] { m.get<bool>("t.u8"); }), where + "t.u8': got UINT8, expected BOOL");
  EXPECT_EQ(error_text([&] { m.get<float>("t.ints"); }),
            where + "t.ints': got a list of 3 INT32, expected a number");
  EXPECT_EQ(error_text([&] { m.get<std::span<const std::byte>>("t.text"); }),
            where + "t.text': got STRING, expected a list of UINT8");
  EXPECT_EQ(error_text([&] { m.need<bool>("no"); }), where + "no' is missing");
  EXPECT_EQ(m.get<bool>("no"), std::nullopt);
}

TEST(Gguf, RefusesOtherVersionsByteOrdersAndFiles) {
  EXPECT_NE(refusal("").find("is not a GGUF file"), std::string::npos);
  EXPECT_NE(refusal("GGML....").find("is not a GGUF file"), std::string::npos);
  EXPECT_NE(refusal(head(0, 0, 1).out).find("version 1, expected 2 or 3"), std::string::npos);
  EXPECT_NE(refusal(head(0, 0, 4).out).find("version 4"), std::string::npos);
  EXPECT_NE(refusal(head(0, 0, 0x03000000).out).find("big-endian"), std::string::npos);
  EXPECT_EQ(refusal(head(0, 0, 2).out), "no error");
  EXPECT_EQ(refusal(head(0, 0, 3).out), "no error");
}

TEST(Gguf, RefusesDamagedValues) {
  constexpr auto kU8 = GgufType::kUint8, kText = GgufType::kString, kList = GgufType::kArray;
  const auto says = [](const Bytes& file, const char* what) {
    EXPECT_NE(refusal(file.out).find(what), std::string::npos) << refusal(file.out) << "\n" << what;
  };
  says(head(0, uint64_t{1} << 60), "more than the 0 bytes left can hold");
  says(head(uint64_t{1} << 60, 0), "the number of tensors");
  says(head(0, 1).text("").put<uint32_t>(0).put<uint64_t>(0), "empty or not UTF-8");
  says(head(0, 1).text("\xFF").put<uint32_t>(0).put<uint64_t>(0), "empty or not UTF-8");
  says(head(0, 1).text("k").put<uint32_t>(13).put<uint64_t>(0), "key 'k': type 13 is unknown");
  says(head(0, 1).key("k", kText).put<uint64_t>(UINT64_MAX), "a string at byte");
  says(head(0, 1).put<uint64_t>(UINT64_MAX).put<uint64_t>(0), "a key at byte");
  says(head(0, 1).key("key", kList).list(kU8, 9).put<uint64_t>(0), "is 9, more than the 8 bytes");
  says(head(0, 1).key("k", kList).list(GgufType::kUint64, UINT64_MAX), "a list's count");
  says(head(0, 1).key("k", kList).list(kText, UINT64_MAX / 8 + 1), "a list's count");
  says(head(0, 1).key("k", kList).list(kText, 1).put<uint64_t>(5), "a list's string");
  says(head(0, 2).key("k", kU8).put<uint8_t>(0).key("k", kU8).put<uint8_t>(0), "twice");
  Bytes deep = head(0, 1).key("k", kList);
  for (int i = 0; i < 5; ++i) deep.list(kList, 1);
  says(deep.list(kU8, 0), "nested more than 4 deep");
  says(head(0, 1).key("general.alignment", GgufType::kUint32).put<uint32_t>(48), "power of two");
  says(head(0, 1).key("general.alignment", GgufType::kUint32).put<uint32_t>(0), "power of two");
  says(head(0, 1).key("general.alignment", kText).text("x"), "got STRING, expected an integer");
}

TEST(Gguf, RefusesDamagedTensors) {
  const auto says = [](const Bytes& file, const char* what) {
    EXPECT_NE(refusal(file.out).find(what), std::string::npos) << refusal(file.out) << "\n" << what;
  };
  EXPECT_EQ(refusal(head(1, 0).tensor("a", {4}, 0, 0).data(16).out), "no error");
  EXPECT_EQ(refusal(head(1, 0).tensor("a", {}, 0, 0).data(4).out), "no error");
  EXPECT_EQ(refusal(head(1, 0).tensor("a", {0, 5}, 0, 0).data(0).out), "no error");
  says(head(1, 0).tensor("a", {4}, 0, 0).data(15), "the file is truncated");
  says(head(1, 0).tensor("a", {4}, 0, 16).data(32), "not a multiple of the alignment 32");
  says(head(1, 0).tensor("a", {4}, 0, UINT64_MAX - 31).data(32), "truncated");
  says(head(1, 0).tensor("a", {1, 1, 1, 1, 1}, 0, 0).data(32), "5 dimensions");
  says(head(1, 0).tensor("a", {uint64_t{1} << 32, uint64_t{1} << 32}, 0, 0).data(4), "overflows");
  says(head(1, 0).tensor("a", {UINT64_MAX}, 0, 0).data(4), "has the extent");
  says(head(1, 0).tensor("a", {4}, 4, 0).data(16), "unknown type 4");
  says(head(1, 0).tensor("a", {33}, 2, 0).data(64), "not whole blocks of 32 (Q4_0)");
  says(head(1, 0).tensor("", {4}, 0, 0).data(16), "empty or not UTF-8");
  says(head(2, 0).tensor("a", {4}, 0, 0).tensor("a", {4}, 0, 32).data(64), "there twice");
  says(head(2, 0).tensor("a", {9}, 0, 0).tensor("b", {4}, 0, 32).data(64), "overlap");
  says(head(2, 0).tensor("b", {4}, 0, 32).tensor("a", {9}, 0, 0).data(64), "overlap");
  Bytes without_padding = head(1, 0).tensor("a", {4}, 0, 0);
  says(without_padding, "the padding before the data");
}

TEST(Gguf, EveryCutOfAFileIsRefused) {
  const std::string file = content_of(kSmall);
  for (size_t size = 0; size + 64 < file.size(); ++size)
    EXPECT_NE(refusal(file.substr(0, size)), "no error") << size;
}

TEST(Gguf, WriterRefusesWhatCannotBeWritten) {
  const TempFolder folder;
  GgufWriter writer(folder / "f");
  const auto says = [](auto&& f, const char* what) {
    EXPECT_NE(error_text(f).find(what), std::string::npos) << error_text(f);
  };
  writer.add<bool>("k", true);
  const std::vector<int64_t> four = {4}, five(5, 1), negative = {-1}, odd = {33},
                             huge = {int64_t{1} << 40, int64_t{1} << 40};
  says([&] { writer.add<bool>("k", true); }, "key 'k' is there already");
  says([&] { writer.add_text("", "x"); }, "empty or not UTF-8");
  writer.announce("a", "F32", four);
  says([&] { writer.announce("a", "F32", four); }, "tensor 'a' is there already");
  says([&] { writer.announce(std::string(64, 'x'), "F32", four); }, "has 64 bytes");
  says([&] { writer.announce("b", "BOOL", four); }, "the type BOOL, which GGUF does not have");
  says([&] { writer.announce("c", "F32", five); }, "5 dimensions");
  says([&] { writer.announce("d", "F32", negative); }, "none negative");
  says([&] { writer.announce("e", "Q4_0", odd); }, "not whole blocks");
  says([&] { writer.announce("f", "F32", huge); }, "overflows");
  const std::vector<std::byte> bytes(17);
  writer.write(std::span(bytes).first(15));
  says([&] { writer.commit(); }, "tensor 1 of 1 has 15 of its 16 bytes");
  says([&] { writer.write(std::span(bytes).first(2)); }, "more bytes are written");
  says([&] { writer.add_text("late", "x"); }, "comes behind the data");
  says([&] { GgufWriter(folder / "g", 48); }, "expected a power of two");
  EXPECT_EQ(entries_in(folder.path()), 1u);
}

TEST(Gguf, ListOfManyStringsIsViews) {
  const TempFolder folder;
  std::vector<std::string> texts(256 << 10);
  for (size_t i = 0; i < texts.size(); ++i) texts[i] = std::to_string(i * 2654435761u);
  GgufWriter writer(folder / "f");
  writer.add_texts("texts", texts);
  writer.commit();
  const GgufReader file(folder / "f");
  const auto views = file.metadata().need<std::vector<std::string_view>>("texts");
  ASSERT_EQ(views.size(), texts.size());
  EXPECT_TRUE(std::ranges::equal(views, texts));
  const auto& whole = file.metadata().find("texts")->bytes;
  EXPECT_GE(views.front().data(), reinterpret_cast<const char*>(whole.data()));
  EXPECT_EQ(views.back().data() + views.back().size(),
            reinterpret_cast<const char*>(whole.data() + whole.size()));
}

// Writes part `number` of `count` with one tensor.
void write_part(const fs::path& path, int number, int count, const std::string& tensor,
                int32_t tensors = 2) {
  GgufWriter writer(path);
  writer.add("split.no", static_cast<uint16_t>(number));
  writer.add("split.count", static_cast<uint16_t>(count));
  writer.add("split.tensors.count", tensors);
  const std::array<float, 2> values = {1, 2};
  writer.announce(tensor, "F32", std::array<int64_t, 1>{2});
  writer.write(std::as_bytes(std::span(values)));
  writer.commit();
}

TEST(Gguf, PartsOfASplitFileAreOne) {
  const TempFolder folder;
  const fs::path first = folder / "m-00001-of-00002.gguf",
                 second = folder / "m-00002-of-00002.gguf";
  write_part(first, 0, 2, "a");
  EXPECT_NE(error_text([&] { GgufReader r(first); }).find("m-00002-of-00002.gguf"),
            std::string::npos);
  write_part(second, 1, 2, "b");
  const GgufReader both(first);
  EXPECT_NE(both.find("a"), nullptr);
  EXPECT_NE(both.find("b"), nullptr);
  EXPECT_EQ(both.arrays().size(), 2u);
  EXPECT_NE(error_text([&] { GgufReader r(second); }).find("give the file that ends in"),
            std::string::npos);
  write_part(second, 1, 2, "a");
  EXPECT_NE(error_text([&] { GgufReader r(first); }).find("is in another part, too"),
            std::string::npos);
  write_part(second, 1, 3, "b");
  EXPECT_NE(error_text([&] { GgufReader r(first); }).find("is not part 2 of 2"), std::string::npos);
}

// Names as short as output.weight lie in the list of tensors itself, which moves as it grows.
TEST(Gguf, TensorsOfManyPartsAreFoundByTheirNames) {
  const TempFolder folder;
  constexpr int kParts = 40;
  const auto path = [&](int part) {
    return folder / fmt::format("m-{:05}-of-00040.gguf", part + 1);
  };
  for (int part = 0; part < kParts; ++part)
    write_part(path(part), part, kParts, fmt::format("t{}", part), kParts);
  const GgufReader all(path(0));
  for (int part = 0; part < kParts; ++part) {
    const ArraySpan* found = all.find(fmt::format("t{}", part));
    ASSERT_NE(found, nullptr) << part;
    EXPECT_EQ(found->name, fmt::format("t{}", part));
  }
  write_part(path(kParts - 1), kParts - 1, kParts, "t0", kParts);
  EXPECT_NE(error_text([&] { GgufReader r(path(0)); }).find("'t0' is in another part, too"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe
