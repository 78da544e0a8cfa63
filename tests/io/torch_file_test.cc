// PyTorch's files of weights: what torch wrote (tools/make_torch_goldens.py) bit by bit, and files
// that try to be more than weights.

#include "lathe/io/torch_file.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "io/torch_testing.h"
#include "lathe/io/safetensors.h"
#include "lathe/io/torch_pickle.h"
#include "paths.h"

namespace lathe::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kGoldens = tests_folder() / "io" / "goldens";
const fs::path kLlama =
    tests_folder() / "model" / "goldens" / "llama" / "model" / "model.safetensors";

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The error, or "no error"; the bytes of every array that comes are read.
std::string parse_error(const std::string& file) {
  ArrayCopies copies;
  return error_text([&] {
    size_t bytes = 0;
    for (const ArraySpan& a : parse_torch_file(std::as_bytes(std::span(file)), "f", copies))
      bytes += text_of(a.bytes).size();
    ASSERT_LT(bytes, size_t{1} << 30);
  });
}
std::string tensor_error(const PickledTensor& tensor) {
  return parse_error(torch_file(pickle_state({tensor})));
}

std::vector<float> floats_of(const std::string& file) {
  ArrayCopies copies;
  const auto arrays = parse_torch_file(std::as_bytes(std::span(file)), "f", copies);
  std::vector<float> values(arrays.at(0).bytes.size() / sizeof(float));
  std::memcpy(values.data(), arrays[0].bytes.data(), arrays[0].bytes.size());
  return values;
}

void expect_equal_arrays(const ArrayReader& got, const ArrayReader& want) {
  ASSERT_EQ(got.arrays().size(), want.arrays().size());
  for (const ArraySpan& w : want.arrays()) {
    const ArraySpan* g = got.find(w.name);
    ASSERT_NE(g, nullptr) << w.name;
    EXPECT_EQ(g->dtype, w.dtype) << w.name;
    EXPECT_EQ(g->shape, w.shape) << w.name;
    EXPECT_EQ(text_of(g->bytes), text_of(w.bytes)) << w.name;
  }
}

TEST(TorchFile, HoldsTheWeightsThatSafetensorsHolds) {
  expect_equal_arrays(TorchReader(kGoldens / "llama.bin"), SafetensorsReader(kLlama));
}

TEST(TorchFile, ViewsOfAllKindsAndTypes) {
  const TorchReader got(kGoldens / "views.bin");
  EXPECT_EQ(got.arrays().size(), 18u);
  expect_equal_arrays(got, SafetensorsReader(kGoldens / "views.safetensors"));
}

TEST(TorchFile, ContiguousArraysAreNotCopied) {
  const TorchReader got(kGoldens / "views.bin");
  EXPECT_EQ(got.find("rows")->bytes.data(), got.find("base")->bytes.data() + 6 * sizeof(float));
}

TEST(TorchFile, ShardsThroughTheirIndex) {
  const TempFolder folder;
  fs::copy(kGoldens / "llama.bin", folder / "one.bin");
  fs::copy(kGoldens / "llama.bin", folder / "two.bin");
  const SafetensorsReader weights(kLlama);
  std::string map;
  int number = 0;
  for (const ArraySpan& a : weights.arrays())
    map += fmt::format("{}\"{}\": \"{}.bin\"", map.empty() ? "" : ", ", a.name,
                       number++ % 2 == 0 ? "one" : "two");
  const auto write_index = [&](const std::string& entries) {
    folder.write("pytorch_model.bin.index.json", "{\"weight_map\": {" + entries + "}}");
  };
  write_index(map);
  const TorchReader reader(folder.path());
  EXPECT_EQ(reader.files().size(), 2u);
  expect_equal_arrays(reader, weights);
  write_index(map + ", \"more\": \"one.bin\"");
  EXPECT_NE(error_text([&] { TorchReader r(folder.path()); }).find("does not have it"),
            std::string::npos);
  write_index("\"a\": \"../two.bin\"");
  EXPECT_NE(error_text([&] { TorchReader r(folder.path()); }).find("in the same folder"),
            std::string::npos);
}

TEST(TorchFile, SafetensorsComeFirst) {
  const TempFolder folder;
  EXPECT_NE(error_text([&] {
              open_weights(folder.path());
            }).find("has no weights: neither model.safetensors nor pytorch_model.bin"),
            std::string::npos);
  folder.write("pytorch_model.bin", "not one");
  EXPECT_NE(error_text([&] { open_weights(folder.path()); }).find("pytorch_model.bin"),
            std::string::npos);
  fs::copy(kLlama, folder / "model.safetensors");
  expect_equal_arrays(*open_weights(folder.path()), SafetensorsReader(kLlama));
}

TEST(TorchFile, ArchivesOfBothSizes) {
  const std::string state = pickle_state({{}});
  const std::vector<float> all = {0, 1, 2, 3, 4, 5};
  EXPECT_EQ(floats_of(torch_file(state)), all);
  EXPECT_EQ(floats_of(torch_file(state, true)), all);
  EXPECT_EQ(floats_of(torch_file(pickle_state({{.shape = {3, 2}, .strides = {1, 3}}}))),
            (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(
      floats_of(torch_file(pickle_state({{.offset = 4, .shape = {1, 2}, .strides = {999, 1}}}))),
      (std::vector<float>{4, 5}));
}

// An extent of 1 may have any stride.
TEST(TorchFile, StridesOfSingleElementsDoNotMatter) {
  EXPECT_EQ(tensor_error({.shape = {1, 3, 2}, .strides = {INT64_MAX, 1, 3}}), "no error");
  EXPECT_EQ(tensor_error({.shape = {3, 1, 2}, .strides = {1, INT64_MAX, 3}}), "no error");
}

TEST(TorchFile, ATruncatedFileIsRefused) {
  for (const bool zip64 : {false, true}) {
    const std::string whole = torch_file(pickle_state({{}}), zip64);
    ASSERT_EQ(parse_error(whole), "no error");
    for (size_t length = 0; length < whole.size(); ++length)
      ASSERT_NE(parse_error(whole.substr(0, length)), "no error") << length;
  }
}

TEST(TorchFile, ATruncatedPickleIsRefused) {
  const std::string whole =
      pickle_state({{}, {.name = "v", .offset = 3, .shape = {3}, .strides = {1}}});
  ASSERT_EQ(parse_error(torch_file(whole)), "no error");
  for (size_t length = 0; length < whole.size(); ++length)
    ASSERT_NE(parse_error(torch_file(whole.substr(0, length))), "no error") << length;
}

TEST(TorchFile, AFlippedBitNeverCrashes) {
  const std::string whole = torch_file(pickle_state({{}}), true);
  int refused = 0;
  for (size_t at = 0; at < whole.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      refused += parse_error(damaged) != "no error";
    }
  EXPECT_GT(refused, 2000);
}

TEST(TorchFile, NoOtherNameIsFollowed) {
  const auto with = [](const std::string& value) {
    return parse_error(torch_file(pickle_dict(pickle_text("w") + value)));
  };
  EXPECT_EQ(
      with(pickle_global("posix", "system") + "(" + pickle_text("touch /tmp/x") + "tR"),
      "[f] refers to 'posix.system', which no file of plain weights needs; nothing in it was "
      "executed. If you trust its source, convert it to safetensors with the program that made it");
  for (const auto& [module, name] : {std::pair{"os", "system"},
                                     {"builtins", "eval"},
                                     {"torch", "load"},
                                     {"torch._utils", ""},
                                     {"torch", "FloatStorage.__class__"},
                                     {"collections", "Counter"},
                                     {"", ""}})
    EXPECT_NE(with(pickle_global(module, name)).find("refers to"), std::string::npos) << name;
  // The instructions that reach for names or classes in other ways.
  for (const char* op : {"i", "o", "\x81", "\x82", "\x93", "P0\n", "\x92"})
    EXPECT_NE(with(op).find("has the instruction"), std::string::npos) << op;
  EXPECT_NE(parse_error(torch_file("\x80\x04.")).find("pickle protocol 4"), std::string::npos);
  EXPECT_NE(with(pickle_global("torch", "FloatStorage") + ")R").find("calls a type of storage"),
            std::string::npos);
  EXPECT_NE(with(pickle_text("x") + ")R").find("calls a string"), std::string::npos);
}

TEST(TorchFile, OnlyTensorsByNameAreWeights) {
  const auto with = [](const std::string& items) {
    return parse_error(torch_file(pickle_dict(items)));
  };
  const std::string tensor = pickle_value({});
  EXPECT_EQ(with(""), "no error");
  EXPECT_EQ(with(pickle_text("epoch") + "K\3"),
            "[f] 'epoch' is a number, expected a tensor; save the model's state_dict() alone");
  EXPECT_NE(with(pickle_text("model") + "}").find("'model' is a dictionary"), std::string::npos);
  EXPECT_NE(with(pickle_text("w") + "N").find("'w' is None"), std::string::npos);
  EXPECT_NE(with("K\1" + tensor).find("a number as a key"), std::string::npos);
  EXPECT_NE(with(pickle_text("w") + tensor + pickle_text("w") + tensor).find("two tensors 'w'"),
            std::string::npos);
  EXPECT_NE(with(pickle_text("w")).find("key without a value"), std::string::npos);
  EXPECT_NE(parse_error(torch_file("\x80\x02].")).find("holds a list"), std::string::npos);
  EXPECT_NE(parse_error(torch_file("\x80\x02}}.")).find("more than one value"), std::string::npos);
  EXPECT_NE(parse_error(torch_file("\x80\x02.")).find("not there"), std::string::npos);
  EXPECT_NE(parse_error(torch_file("\x80\x02h\7.")).find("refers to a value 7"), std::string::npos);
  EXPECT_NE(parse_error(torch_file("\x80\x02"
                                   "t."))
                .find("no mark"),
            std::string::npos);
}

TEST(TorchFile, ViewsStayInTheirStorage) {
  constexpr int64_t kHuge = int64_t{1} << 62;
  for (const PickledTensor& t :
       std::vector<PickledTensor>{{.offset = 1},
                                  {.offset = kHuge},
                                  {.strides = {4, 1}},
                                  {.strides = {kHuge, 1}},
                                  {.shape = {kHuge, 3}},
                                  {.shape = {kHuge, kHuge}, .strides = {0, 0}},
                                  {.shape = {7}, .strides = {1}},
                                  {.offset = 6, .shape = {}, .strides = {}}})
    EXPECT_EQ(tensor_error(t), "[f] 'w' reaches outside its storage of 6 elements");
  EXPECT_EQ(tensor_error({.shape = {1000000, 1000000}, .strides = {0, 0}}),
            "[f] 'w' sees elements of its storage more than once; save contiguous tensors");
  EXPECT_EQ(tensor_error({.elements = 7}),
            "[f] data/0 has 24 bytes, too few for the 7 elements of F32 that 'w' needs");
  EXPECT_NE(tensor_error({.elements = INT64_MAX}).find("too few"), std::string::npos);
  EXPECT_NE(tensor_error({.type = "DoubleStorage"}).find("too few"), std::string::npos);
  EXPECT_EQ(tensor_error({.storage = "1"}), "[f] has no entry data/1, the storage of 'w'");
  EXPECT_NE(tensor_error({.storage = std::string(1000, '0')}).find("not the storage of a tensor"),
            std::string::npos);
  EXPECT_NE(tensor_error({.type = "UntypedStorage"}).find("refers to"), std::string::npos);
  for (const PickledTensor& t : std::vector<PickledTensor>{
           {.elements = -1},
           {.offset = -1},
           {.shape = {-2, 3}},
           {.strides = {3, -1}},
           {.strides = {1}},
           {.shape = std::vector<int64_t>(65, 1), .strides = std::vector<int64_t>(65, 1)}})
    EXPECT_NE(tensor_error(t), "no error");
  EXPECT_EQ(tensor_error({.shape = {0, 5}, .strides = {5, 1}}), "no error");
}

// Copies of transposed tensors never outgrow the file.
TEST(TorchFile, ManyTransposedViewsOfOneStorageAreRefused) {
  std::string items;
  const std::string tensor = pickle_value({.shape = {3, 2}, .strides = {1, 3}});
  items = pickle_text("w") + tensor + "q\1";
  for (int i = 0; i < 200; ++i) items += pickle_text(std::to_string(i)) + "h\1";
  EXPECT_NE(parse_error(torch_file(pickle_dict(items))).find("more transposed tensors than bytes"),
            std::string::npos);
}

TEST(TorchFile, DeepNestingAndCyclesAreHarmless) {
  EXPECT_NE(parse_error(torch_file("\x80\x02)" + std::string(1'000'000, '\x85') + ".")),
            "no error");
  EXPECT_NE(parse_error(torch_file("\x80\x02" + std::string(1'000'000, '(') + ".")), "no error");
  EXPECT_NE(parse_error(torch_file("\x80\x02" + std::string(1'000'000, '}') + ".")), "no error");
  // A list and a dictionary that contain themselves.
  EXPECT_NE(parse_error(torch_file("\x80\x02]q\1h\1a.")).find("holds a list"), std::string::npos);
  EXPECT_NE(parse_error(torch_file(pickle_dict(pickle_text("w") + "}q\1X" + bytes_of<uint32_t>(1) +
                                               "kh\1s")))
                .find("is a dictionary"),
            std::string::npos);
  const std::string many(5'000'001, 'N');
  EXPECT_NE(error_text([&] { parse_torch_pickle(many, "f"); }).find("more than 5000000 values"),
            std::string::npos);
}

TEST(TorchFile, OtherArchivesAreRefusedByName) {
  const std::string pickle = pickle_state({{}});
  EXPECT_NE(parse_error("\x80\x02\x8a\x0al\xfc\x9c"
                        "F\xf9 j\xa8P\x19.")
                .find("since PyTorch 1.6"),
            std::string::npos);
  EXPECT_NE(parse_error(make_zip({{"a/b", "c"}})).find("without the entry data.pkl"),
            std::string::npos);
  EXPECT_NE(parse_error(make_zip({{"a/data.pkl", pickle, 8}})).find("is compressed"),
            std::string::npos);
  EXPECT_NE(parse_error(make_zip({{"a/data.pkl", pickle, 0, 1}})).find("encrypted"),
            std::string::npos);
  EXPECT_NE(parse_error(make_zip({{"a/x", ""}, {"a/x", ""}})).find("two entries 'a/x'"),
            std::string::npos);
  EXPECT_NE(parse_error(make_zip({{"a/data.pkl", pickle}, {"a/byteorder", "big"}})).find("endian"),
            std::string::npos);
  EXPECT_NE(parse_error("PK\3\4" + std::string(100000, '\0')), "no error");
}

}  // namespace
}  // namespace lathe::testing
