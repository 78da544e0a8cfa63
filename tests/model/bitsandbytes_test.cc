// Folders that bitsandbytes quantised; tools/make_bitsandbytes_goldens.py wrote them and what they
// mean.
#include "lathe/io/bitsandbytes.h"

#include <nlohmann/json.hpp>

#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/nf4.h"
#include "lathe/model/stored_weights.h"
#include "lathe/model/weight_map.h"
#include "lathe/tensor/blocks/bitsandbytes.h"
#include "lathe/tensor/blocks/block_type.h"
#include "model/folder_testing.h"
#include "paths.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

fs::path golden(const std::string& name) {
  return tests_folder() / "model" / "goldens" / "bitsandbytes" / name;
}

// The largest difference to the weights in NAME.safetensors, in units of their largest magnitude.
double difference(Transformer& model, const std::string& name) {
  const SafetensorsReader want(golden(name + ".safetensors"));
  double most = 0;
  for (const DiskTensor& place : map_weights(model)) {
    const ArraySpan* array = want.find(place.name);
    require(array != nullptr, ErrorKind::kFormat, "golden", "no '{}'", place.name);
    const auto unowned = std::shared_ptr<const void>(array->bytes.data(), [](const void*) {});
    const Tensor theirs = stored_tensor(*array, unowned);
    most = std::max(most,
                    largest_difference(place.gather(value_of), theirs) / largest_magnitude(theirs));
  }
  EXPECT_EQ(map_weights(model).size(), want.arrays().size());
  return most;
}

class Bitsandbytes : public Folder {
 protected:
  // The arrays of a golden, changed, in a folder of this test.
  using Change = std::function<void(std::vector<ArraySpan>&)>;
  std::string error_after(const std::string& kind, const Change& change) {
    const fs::path from = golden(kind), to = folder_ / "changed";
    fs::create_directories(to);
    fs::copy_file(from / "config.json", to / "config.json", fs::copy_options::overwrite_existing);
    const SafetensorsReader reader(from);
    std::vector<ArraySpan> arrays = reader.arrays();
    change(arrays);
    write_safetensors(to / SafetensorsReader::kFileName, arrays);
    return load_error(to);
  }
  std::string config_error(const Json& how) {
    const fs::path to = folder_ / "configured";
    fs::create_directories(to);
    Json config = read_json_file(golden("plain") / "config.json");
    config["quantization_config"] = how;
    write_json_file(to / "config.json", config);
    fs::copy_file(golden("plain") / "model.safetensors", to / "model.safetensors",
                  fs::copy_options::overwrite_existing);
    return load_error(to);
  }
};

ArraySpan& array_of(std::vector<ArraySpan>& arrays, const std::string& end) {
  return *std::ranges::find_if(arrays, [&](const ArraySpan& a) { return a.name.ends_with(end); });
}

TEST_F(Bitsandbytes, WeightsAreThoseThatItReads) {
  for (const char* kind : {"nf4", "fp4", "int8"})
    EXPECT_EQ(difference(*load_model(golden(kind), {}), kind), 0) << kind;
  EXPECT_LE(difference(*load_model(golden("nf4-double"), {}), "nf4-double"), 1e-7);
  const auto warnings = [](const std::string& kind) {
    std::vector<std::string> all;
    load_model(golden(kind),
               {.log = Log([&](LogLevel, const std::string& text) { all.push_back(text); })});
    return all;
  };
  for (const char* kind : {"nf4", "nf4-double", "fp4", "int8"})
    EXPECT_EQ(warnings(kind), std::vector<std::string>()) << kind;
}

TEST_F(Bitsandbytes, RoundingGivesTheSameWeights) {
  auto model = load_model(golden("plain"), {});
  round_to_nf4(*model, /*quantise_scales=*/false);
  EXPECT_EQ(difference(*model, "nf4"), 0);
  round_to_nf4(*model, /*quantise_scales=*/false);
  EXPECT_EQ(difference(*model, "nf4"), 0) << "what is rounded stays";
  model = load_model(golden("plain"), {});
  round_to_nf4(*model, /*quantise_scales=*/true);
  EXPECT_LE(difference(*model, "nf4-double"), 1e-6);
  EXPECT_GT(difference(*model, "nf4"), 1e-4);
}

TEST_F(Bitsandbytes, OtherMethodsAreNamed) {
  EXPECT_NE(config_error({{"quant_method", "gptq"}}).find("by the method \"gptq\""),
            std::string::npos);
  EXPECT_NE(config_error({{"bits", 4}}).find("quantised by the method"), std::string::npos);
  EXPECT_NE(config_error(3).find("a key that llama models need"), std::string::npos);
  EXPECT_EQ(config_error(nullptr), "no error");
  EXPECT_EQ(config_error({{"load_in_4bit", true}}),
            "no error");  // not a quantised array among them
}

TEST_F(Bitsandbytes, DamageIsNamed) {
  const auto without = [&](const std::string& kind, const std::string& end) {
    return error_after(kind, [&](std::vector<ArraySpan>& arrays) {
      std::erase_if(arrays, [&](const ArraySpan& a) { return a.name.ends_with(end); });
    });
  };
  EXPECT_NE(without("nf4", "q_proj.weight.absmax").find("q_proj.weight.absmax' is missing"),
            std::string::npos);
  EXPECT_NE(without("nf4", "k_proj.weight.quant_map").find("k_proj.weight.quant_map' is missing"),
            std::string::npos);
  EXPECT_NE(without("nf4-double", "nested_absmax").find("nested_absmax' is missing"),
            std::string::npos);
  EXPECT_NE(without("int8", "q_proj.SCB").find("q_proj.weight' has type I8"), std::string::npos);
  const auto with_state = [&](const std::string& text) {
    return error_after("nf4", [&](std::vector<ArraySpan>& arrays) {
      ArraySpan& state = array_of(arrays, "q_proj.weight.quant_state.bitsandbytes__nf4");
      state.bytes = std::as_bytes(std::span(text));
      state.shape = {static_cast<int64_t>(text.size())};
    });
  };
  EXPECT_NE(with_state("{").find("quant_state"), std::string::npos);
  EXPECT_NE(with_state("[]").find("is no JSON object"), std::string::npos);
  EXPECT_NE(with_state(R"({"shape":[36,36]})").find("has no blocksize"), std::string::npos);
  EXPECT_NE(with_state(R"({"shape":[36,36],"blocksize":48})").find("multiple of 32"),
            std::string::npos);
  EXPECT_NE(with_state(R"({"shape":[36,36],"blocksize":128})").find("expected 11 numbers"),
            std::string::npos);
  for (const char* shape : {"[36,35]", "[4611686018427387904,4611686018427387904]", "[36,-36]",
                            "[36,0]", "[]", "\"36\"", "[36,36,36]"})
    EXPECT_NE(with_state(fmt::format(R"({{"shape":{},"blocksize":64}})", shape)).find("shape"),
              std::string::npos)
        << shape;
  EXPECT_NE(with_state(R"({"shape":[18,72],"blocksize":64})").find("config.json requires"),
            std::string::npos);
}

TEST_F(Bitsandbytes, NumbersAreChecked) {
  const auto with = [&](const std::string& kind, const std::string& end, float value) {
    std::vector<std::byte> bytes;
    return error_after(kind, [&](std::vector<ArraySpan>& arrays) {
      ArraySpan& array = array_of(arrays, end);
      bytes.assign(array.bytes.begin(), array.bytes.end());
      std::memcpy(bytes.data() + 4, &value, sizeof value);
      array.bytes = bytes;
    });
  };
  const float infinite = std::numeric_limits<float>::infinity();
  EXPECT_NE(with("nf4", "q_proj.weight.absmax", infinite).find("has the value inf"),
            std::string::npos);
  EXPECT_NE(with("int8", "q_proj.SCB", -infinite).find("has the value -inf"), std::string::npos);
  EXPECT_NE(with("fp4", "q_proj.weight.quant_map", 0.5f).find("has the level 0.5 for code 1"),
            std::string::npos);
}

// Four elements by hand: levels 15 and 7 of NF4, and codes 3 and 11 of FP4.
TEST(FourBits, AreLevelsTimesAScale) {
  const std::byte codes[] = {std::byte{0xF7}, std::byte{0x3B}};
  const std::vector<float> scale = {2.0f};
  const auto blocks = four_bit_blocks(codes, scale, 64);
  std::vector<float> x(4);
  find_block_type("NF4")->decode(blocks, x);
  EXPECT_EQ(x, (std::vector<float>{2.0f, 0.0f, 2 * nf4_levels()[3], 2 * nf4_levels()[11]}));
  find_block_type("FP4")->decode(blocks, x);
  EXPECT_EQ(x, (std::vector<float>{2 * fp4_levels()[15], 2 * fp4_levels()[7], 2.0f, -2.0f}));
  EXPECT_EQ(find_block_type(kNoGgufType), nullptr);
}

TEST(FourBits, DynamicLevelsAreFinerNearZero) {
  const auto levels = dynamic_levels();
  ASSERT_EQ(levels.size(), 256u);
  EXPECT_TRUE(std::ranges::is_sorted(levels));
  EXPECT_EQ(levels.front(), -levels[254]);
  EXPECT_EQ(levels.back(), 1.0f);
  EXPECT_NEAR(levels[254], 0.1 + 0.9 * 63.5 / 64, 1e-7);
  EXPECT_EQ(levels[127], 0.0f);
  EXPECT_NEAR(levels[128], 0.55e-6, 1e-12);
}

TEST(FourBits, ScalesAreNearlyTheirOwn) {
  std::vector<float> scales;
  for (int i = 0; i < 700; ++i)
    scales.push_back(1.0f + 0.1f * static_cast<float>(Rng(3).normal(static_cast<uint64_t>(i))));
  const QuantisedScales coded = encode_scales(scales);
  EXPECT_EQ(coded.maxima.size(), 3u);
  const std::vector<float> read = decode_scales(coded);
  for (size_t i = 0; i < scales.size(); ++i) EXPECT_NEAR(read[i], scales[i], 0.005) << i;
  EXPECT_EQ(decode_scales(encode_scales(std::vector<float>{0.5f})), std::vector<float>{0.5f});
}

}  // namespace
}  // namespace lathe::testing
