// LoRA adapters: the logits that PEFT computes (tools/make_adapter_goldens.py), updates by hand, and
// what is refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/adapter/lora_config.h"
#include "lathe/model/adapter/merge.h"
#include "lathe/model/adapter/row_adapters.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "model/adapter_testing.h"
#include "model/checks.h"

namespace lathe::testing {
namespace {

namespace fs = std::filesystem;

fs::path goldens() { return fs::path(LATHE_TEST_DIR) / "model" / "goldens"; }

Tensor array_of(const SafetensorsReader& reader, const std::string& name) {
  const ArraySpan* array = reader.find(name);
  require(array != nullptr, ErrorKind::kFormat, "golden", "no '{}'", name);
  Tensor t(Shape(std::span<const int64_t>(array->shape)),
           array->dtype == "I32" ? DType::kI32 : DType::kF32);
  std::copy(array->bytes.begin(), array->bytes.end(), t.raw());
  return t;
}

fs::path base_of(const std::string& adapter) {
  return goldens() /
         read_lora_config(goldens() / "adapters" / adapter / "adapter_config.json").base / "model";
}

ModelInputs inputs_of(const SafetensorsReader& given) {
  const bool encoder = given.find("decoder_input_ids") != nullptr;
  ModelInputs all{.rows = Rows::of(array_of(given, encoder ? "decoder_input_ids" : "input_ids"))};
  if (encoder) all.text = Rows::of(array_of(given, "input_ids"));
  return all;
}

// The same for all sequences.
RowAdapters everywhere(const Adaptation& what, const ModelInputs& inputs) {
  return RowAdapters(
      std::vector<Adaptation>(static_cast<size_t>(inputs.rows.sequences.count()), what),
      inputs.rows.sequences, inputs.text ? &inputs.text->sequences : nullptr);
}

Tensor logits_with(const Transformer& model, const ModelInputs& inputs, const Adaptation& what) {
  const RowAdapters adapters = everywhere(what, inputs);
  ModelPass pass(model, {.adapters = &adapters});
  return pass.logits(pass.hidden(inputs)).value;
}

class AdapterGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(AdapterGolden, LogitsAreThoseOfPeft) {
  const SafetensorsReader want(goldens() / "adapters" / GetParam() / "forward.safetensors");
  for (const auto& [dtype, device] :
       {std::pair{DType::kF64, Device::kRef}, {DType::kF32, Device::kCpu}}) {
    const auto model = load_model(base_of(GetParam()), {.dtype = dtype, .device = device});
    const auto lora = load_lora(goldens() / "adapters" / GetParam(), *model);
    const ModelInputs inputs = inputs_of(want);
    const Tensor got = logits_with(*model, inputs, {.loras = {lora}});
    EXPECT_LE(largest_difference(got, array_of(want, "logits")), 2e-5);
    EXPECT_GT(largest_difference(logits_of(*model, inputs), got), 0.1);
  }
}

// Merged, saved and loaded again it has the same logits; a tied head that the adapter parts from the
// table is a head of its own.
TEST_P(AdapterGolden, MergedItIsTheSameModel) {
  const SafetensorsReader want(goldens() / "adapters" / GetParam() / "forward.safetensors");
  auto model = load_model(base_of(GetParam()), {});
  const bool tied = model->config().tie_word_embeddings;
  const std::vector all = {load_lora(goldens() / "adapters" / GetParam(), *model)};
  const bool parted = parts_tied_head(*model, *all[0]);
  EXPECT_EQ(parted, GetParam() == "gemma2");
  model = merge_adapters(std::move(model), all);
  EXPECT_EQ(model->config().tie_word_embeddings, tied && !parted);
  EXPECT_LE(largest_difference(logits_of(*model, inputs_of(want)), array_of(want, "logits")), 2e-5);
  const TempFolder folder;
  save_model(*model, folder.path(), {.like = base_of(GetParam())});
  const auto again = load_model(folder.path(), {});
  EXPECT_EQ(again->config().model_type, read_model_config(base_of(GetParam())).model_type);
  EXPECT_EQ(logits_of(*again, inputs_of(want)).to_vector(),
            logits_of(*model, inputs_of(want)).to_vector());
}

std::vector<std::string> every_adapter() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(goldens() / "adapters"))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(, AdapterGolden, ::testing::ValuesIn(every_adapter()),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// --- by hand -----------------------------------------------------------------------------------

Tensor f64(std::initializer_list<double> values, const Shape& shape) {
  return Tensor::of<double>(std::vector<double>(values), shape, Device::kRef);
}

TEST(Adapter, AnUpdateIsScaleTimesBTimesA) {
  const LowRankUpdate update{1, f64({1, 2}, {1, 2}), f64({3, 4}, {2, 1}), 0.5};
  EXPECT_EQ(update.delta().to_vector(), (std::vector<double>{1.5, 3, 2, 4}));
  const Tensor y = f64({10, 20, 30, 40, 50, 60}, {2, 3});
  update.add_product(f64({5, 6, 1, 0}, {2, 2}), y);
  EXPECT_EQ(y.to_vector(), (std::vector<double>{10, 45.5, 64, 40, 51.5, 62}));
  const LookupUpdate lookup{f64({1, 2, 3}, {3, 1}), f64({10, 20}, {2, 1}), 0.1};
  const Tensor rows = f64({0, 0, 1, 1}, {2, 2});
  lookup.add_lookup(Tensor::of<int32_t>(std::vector<int32_t>{2, 0}, {2}, Device::kRef), rows);
  EXPECT_LE(largest_difference(rows, f64({3, 6, 2, 3}, {2, 2})), 1e-12);
  EXPECT_LE(largest_difference(lookup.delta(), f64({1, 2, 2, 4, 3, 6}, {3, 2})), 1e-12);
}

TEST(Adapter, PatternsMatchAModuleAsAWholeOrBehindADot) {
  const TempFolder folder;
  folder.write("c.json", R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8,
    "rank_pattern": {"q_proj": 2, "layers\\.[12]\\.mlp": 16, "mlp": 1},
    "alpha_pattern": {"^model.layers.0.self_attn.k_proj": 3}, "lora_dropout": 0.5})");
  LoraConfig c = read_lora_config(folder / "c.json");
  EXPECT_EQ(c.rank("model.layers.0.self_attn.q_proj"), 2);
  EXPECT_EQ(c.rank("q_proj"), 2);
  EXPECT_EQ(c.rank("model.layers.0.self_attn.aq_proj"), 4);
  EXPECT_EQ(c.rank("model.layers.2.mlp"), 16);
  EXPECT_EQ(c.rank("model.layers.3.mlp"), 1);
  EXPECT_EQ(c.rank("model.layers.2.mlp.gate"), 4);
  EXPECT_DOUBLE_EQ(c.scale("model.layers.0.self_attn.q_proj"), 4);
  EXPECT_DOUBLE_EQ(c.scale("model.layers.0.self_attn.k_proj"), 0.75);
  EXPECT_DOUBLE_EQ(c.scale("model.layers.1.self_attn.k_proj"), 2);
  c.use_rslora = true;
  EXPECT_DOUBLE_EQ(c.scale("model.layers.2.mlp"), 2);
}

TEST(Adapter, EqualContentIsOneIdentity) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  const auto a = random_lora(*model, Rng(1)), b = random_lora(*model, Rng(2));
  EXPECT_EQ(a->identity(), random_lora(*model, Rng(1))->identity());
  EXPECT_NE(a->identity(), b->identity());
  const auto of = [](std::vector<std::shared_ptr<const LoraAdapter>> loras) {
    return Adaptation{.loras = std::move(loras)}.identity();
  };
  EXPECT_EQ(of({}), "");
  EXPECT_NE(of({a}), of({a, a}));
  EXPECT_NE(of({a, b}), of({b, a}));
  auto changed = a->products();
  changed.begin()->second[0].scale *= 2;
  EXPECT_NE(LoraAdapter(changed, a->lookups()).identity(), a->identity());
  EXPECT_EQ(LoraAdapter(a->products(), a->lookups()).bytes(), a->bytes());
}

TEST(Adapter, RowsThatAreNotThoseOfThePassAreRefused) {
  const auto model = make_model(tiny_config(), DType::kF32, Device::kCpu);
  const Adaptation what{.loras = {random_lora(*model, Rng(1))}};
  const RowAdapters adapters({what, {}}, Sequences::equal(2, 3));
  const ModelInputs inputs = inputs_for(*model, some_ids(1, 5));
  ModelPass pass(*model, {.adapters = &adapters});
  EXPECT_THROW(pass.hidden(inputs), Error);
  EXPECT_THROW(RowAdapters({what}, Sequences::equal(2, 3)), Error);
  // One matrix for all rows, where they differ.
  EXPECT_NE(error_text([&] { model->head({.adapters = &adapters}); }).find("different adapters"),
            std::string::npos);
  Tape tape;
  ModelPass taped(*model, {.tape = &tape, .adapters = &adapters});
  EXPECT_NE(error_text([&] { taped.hidden(inputs_for(*model, some_ids(2, 3))); }).find("gradients"),
            std::string::npos);
}

// --- steering ----------------------------------------------------------------------------------

class SteeringGolden : public ::testing::TestWithParam<std::string> {};

// From both formats, and layer by layer: what several add up to is what all do.
TEST_P(SteeringGolden, LogitsAreThoseOfVectorsAddedBehindLayers) {
  const fs::path folder = goldens() / "steering" / GetParam();
  const SafetensorsReader want(folder / "forward.safetensors");
  const ModelInputs inputs = inputs_of(want);
  for (const auto& [dtype, device] :
       {std::pair{DType::kF64, Device::kRef}, {DType::kF32, Device::kCpu}})
    for (const char* file : {"vectors.safetensors", "vectors.gguf"}) {
      const auto model =
          load_model(goldens() / GetParam() / "model", {.dtype = dtype, .device = device});
      const Steering steering{.vectors = load_steering(folder / file),
                              .scale = array_of(want, "scale").item()};
      EXPECT_EQ(steering.vectors->why_not(model->config()), "");
      const Tensor got = logits_with(*model, inputs, {.steering = steering});
      EXPECT_LE(largest_difference(got, array_of(want, "logits")), 2e-5) << file;
      EXPECT_GT(largest_difference(logits_of(*model, inputs), got), 0.1);
    }
}

INSTANTIATE_TEST_SUITE_P(, SteeringGolden, ::testing::Values("llama", "gemma2"),
                         [](const auto& each) { return each.param; });

TEST(Steering, ActsOnTheRowsAndLayersThatItIsFor) {
  const Tensor v = Tensor::of<float>(std::vector<float>{1, 2}, {2});
  const auto vectors =
      std::make_shared<const SteeringVectors>(std::map<int64_t, Tensor>{{0, v}, {2, v}, {3, v}});
  const Adaptation what{.steering =
                            Steering{.vectors = vectors, .scale = 10, .first = 1, .last = 2}};
  const RowAdapters adapters({{}, what, {}}, Sequences(std::vector<int64_t>{1, 2, 1}));
  const Tensor x = Tensor::zeros({4, 2}, DType::kF32);
  const auto at = [&](int64_t layer) {
    return adapters.add_to_layer_output({}, layer, Var(x)).value.to_vector();
  };
  EXPECT_EQ(at(0), std::vector<double>(8, 0));
  EXPECT_EQ(at(1), std::vector<double>(8, 0));
  EXPECT_EQ(at(2), (std::vector<double>{0, 0, 10, 20, 10, 20, 0, 0}));
  EXPECT_EQ(at(3), std::vector<double>(8, 0));
  EXPECT_EQ(x.to_vector(), std::vector<double>(8, 0));  // the layer's own output is left alone
}

using Arrays = std::map<std::string, Tensor>;

void write_arrays(const fs::path& path, const Arrays& arrays) {
  std::vector<ArraySpan> spans;
  for (const auto& [name, t] : arrays) {
    const auto dims = t.shape().dims();
    spans.push_back({name, "F32", {dims.begin(), dims.end()}, {t.raw(), t.bytes()}});
  }
  write_safetensors(path, spans);
}

TEST(Steering, FilesThatAreNotVectorsOfThisModelAreRefused) {
  const TempFolder folder;
  const auto error = [&](const Arrays& arrays) {
    write_arrays(folder / "v", arrays);
    return error_text([&] { load_steering(folder / "v"); });
  };
  const auto zeros = [](const Shape& shape) { return Tensor::zeros(shape, DType::kF32); };
  const auto expect = [&](const Arrays& arrays, const char* part) {
    EXPECT_NE(error(arrays).find(part), std::string::npos) << error(arrays);
  };
  expect({{"direction.x", zeros({2})}}, "'direction.x' is not a steering vector");
  expect({{"direction.-1", zeros({2})}}, "'direction.-1' is not a steering vector");
  expect({{"direction.1 ", zeros({2})}}, "is not a steering vector");
  expect({{"direction.99999999999999999999", zeros({2})}}, "is not a steering vector");
  expect({{"weight", zeros({2})}}, "'weight' is not a steering vector");
  expect({{"direction.1", zeros({2, 2})}}, "'direction.1' has shape [2, 2], expected one vector");
  expect({{"direction.1", zeros({2})}, {"direction.01", zeros({2})}}, "two vectors for layer 1");
  expect({{"direction.1", zeros({2})}, {"direction.2", zeros({3})}},
         "the vector of layer 2 has shape [3], expected [2]");
  Tensor nan = zeros({2});
  nan.data<float>()[1] = NAN;
  expect({{"direction.1", nan}}, "'direction.1' has a value that is not finite");
  const fs::path model = goldens() / "llama" / "model" / "model.safetensors";
  EXPECT_NE(error_text([&] { load_steering(model); }).find("is not a steering vector"),
            std::string::npos);
  ModelConfig c = tiny_config();
  const auto of = [&](int64_t layer, int64_t width) {
    return SteeringVectors({{layer, zeros({width})}}).why_not(c);
  };
  EXPECT_EQ(of(0, c.hidden_size), "");
  EXPECT_NE(of(0, 5).find("the vectors have 5 elements"), std::string::npos);
  EXPECT_NE(of(c.num_hidden_layers, c.hidden_size).find("there is a vector for layer 2"),
            std::string::npos);
}

// --- what is refused ---------------------------------------------------------------------------

// A copy of the golden adapter "llama" that a test may damage.
class DamagedAdapter : public ::testing::Test {
 protected:
  DamagedAdapter() : model_(load_model(goldens() / "llama" / "model", {})) { reset(); }

  void reset() {
    const fs::path from = goldens() / "adapters" / "llama";
    config_ = read_json_file(from / "adapter_config.json");
    const SafetensorsReader reader(from / "adapter_model.safetensors");
    arrays_.clear();
    for (const ArraySpan& array : reader.arrays())
      arrays_[array.name] = array_of(reader, array.name);
  }
  std::string error() {
    write_json_file(folder_ / "adapter_config.json", config_);
    write_arrays(folder_ / "adapter_model.safetensors", arrays_);
    return error_text([&] { load_lora(folder_.path(), *model_); });
  }
  void expect(const std::string& part) {
    const std::string got = error();
    EXPECT_NE(got.find(part), std::string::npos) << got;
    reset();
  }
  static std::string tensor(const std::string& name) { return "base_model.model.model." + name; }

  TempFolder folder_;
  std::unique_ptr<Transformer> model_;
  nlohmann::ordered_json config_;
  Arrays arrays_;
};

TEST_F(DamagedAdapter, OptionsThatAreNotSupportedAreNamed) {
  EXPECT_EQ(error(), "no error");
  for (const auto& [key, value] :
       std::map<std::string, nlohmann::ordered_json>{{"use_dora", true},
                                                     {"lora_bias", true},
                                                     {"modules_to_save", {"lm_head"}},
                                                     {"trainable_token_indices", {1, 2}},
                                                     {"layer_replication", {{0, 1}, {0, 2}}},
                                                     {"use_qalora", true},
                                                     {"alora_invocation_tokens", {3}},
                                                     {"bias", "all"}}) {
    config_[key] = value;
    expect(key + " is");
  }
  for (const char* type : {"ADALORA", "IA3", "PROMPT_TUNING", "VERA", "X"}) {
    config_["peft_type"] = type;
    expect(fmt::format("peft_type is \"{}\", but only \"LORA\" is supported", type));
  }
}

TEST_F(DamagedAdapter, ADamagedConfigurationIsRefused) {
  const auto set = [&](const char* key, const nlohmann::ordered_json& value, const char* part) {
    config_[key] = value;
    expect(part);
  };
  config_.erase("peft_type");
  expect("no peft_type");
  config_ = nlohmann::ordered_json::array();
  expect("no peft_type");
  set("r", 0, "r is 0, expected a rank from 1");
  set("r", "3", "r is \"3\"");
  set("r", int64_t{1} << 62, "expected a rank from 1 to 65536");
  set("lora_alpha", nullptr, "no error");
  set("lora_alpha", "high", "lora_alpha is \"high\"");
  set("use_rslora", 1, "use_rslora is 1");
  set("rank_pattern", {1}, "rank_pattern is not an object");
  set("rank_pattern", {{"q_proj", 0}}, "rank_pattern of 'q_proj' is 0");
  set("rank_pattern", {{"(", 3}}, "adapter_config.json");
  set("rank_pattern", {{"q_proj", 7}},
      "says that the rank of 'model.layers.0.self_attn.q_proj' is 7");
  set("alpha_pattern", {{"q_proj", "x"}}, "alpha_pattern of 'q_proj' is \"x\"");
  set("r", 4,
      "has shape [3, 20], but adapter_config.json says that the rank of 'model.layers.0.mlp.down_proj' is 4");
}

TEST_F(DamagedAdapter, TensorsThatDoNotBelongAreNamed) {
  const std::string q = tensor("layers.0.self_attn.q_proj");
  const auto put = [&](const std::string& name, const Shape& shape, const std::string& part) {
    arrays_[name] = Tensor::zeros(shape, DType::kF32);
    expect(part);
  };
  arrays_.clear();
  arrays_["x"] = Tensor::zeros({1}, DType::kF32);
  expect("'x' is not a tensor of a LoRA adapter");
  put(q + ".lora_magnitude_vector", {16}, "lora_magnitude_vector' is not a tensor of a LoRA");
  put(q + ".lora_B.bias", {16}, "lora_B.bias' is not a tensor of a LoRA");
  put("base_model.model.lora_A.weight", {1}, "'base_model.model.lora_A.weight' names no module");
  put(q + ".lora_embedding_A", {3, 16}, "belongs to a pair of another kind");
  put(q + ".lora_A.weight", {3}, "has shape [3], expected a matrix");
  put(q + ".lora_A.weight", {3, 8},
      "has shape [3, 8], but 'model.layers.0.self_attn.q_proj.weight' of this model has 16 inputs; "
      "the adapter was made for another base ('llama'); give that model");
  put(q + ".lora_B.weight", {24, 3}, "of this model has 16 outputs; the adapter was made for");
  put(q + ".base_layer.weight", {16, 16}, "differs from 'model.layers.0.self_attn.q_proj.weight'");
  put(q + ".base_layer.weight", {4, 16}, "has shape [4, 16]");
  put(tensor("layers.7.self_attn.q_proj.lora_A.weight"), {3, 16}, "one of the matrices A and B");
  arrays_.erase(q + ".lora_B.weight");
  expect("'model.layers.0.self_attn.q_proj' has one of the matrices A and B without the other");
  arrays_[tensor("layers.7.mlp.up_proj.lora_B.weight")] = Tensor::zeros({20, 3}, DType::kF32);
  put(tensor("layers.7.mlp.up_proj.lora_A.weight"), {3, 16},
      "lora_A.weight' [3, 16] is for a module 'model.layers.7.mlp.up_proj', which this model "
      "(llama) does not have; the adapter was made for another base ('llama')");
  arrays_[tensor("norm.lora_B.weight")] = Tensor::zeros({16, 3}, DType::kF32);
  put(tensor("norm.lora_A.weight"), {3, 16},
      "'model.norm', which this model (llama) does not have");
  arrays_[q + ".lora_A.weight"].data<float>()[2] = INFINITY;
  expect("has a value that is not finite");
  arrays_.clear();
  expect("there is no adapter in it");
}

TEST_F(DamagedAdapter, MissingFilesAreNamed) {
  EXPECT_EQ(error(), "no error");
  fs::remove(folder_ / "adapter_model.safetensors");
  EXPECT_NE(
      error_text([&] { load_lora(folder_.path(), *model_); }).find("adapter_model.safetensors"),
      std::string::npos);
  folder_.write("adapter_model.bin", "x");
  EXPECT_NE(error_text([&] { load_lora(folder_.path(), *model_); }).find("is pickled"),
            std::string::npos);
  const auto gpt2 = load_model(goldens() / "gpt2" / "model", {});
  EXPECT_NE(error_text([&] {
              load_lora(goldens() / "adapters" / "llama", *gpt2);
            }).find("which this model (gpt2) does not have"),
            std::string::npos);
}

// Experts are one stacked matrix, or, in adapters that were made with older versions of transformers, a
// module each.
TEST(AdapterOfExperts, OneStackAndAModuleEachAreTheSame) {
  const fs::path from = goldens() / "adapters" / "qwen3_moe";
  const auto model = load_model(goldens() / "qwen3_moe" / "model", {});
  const auto want = load_lora(from, *model);
  const SafetensorsReader reader(from / "adapter_model.safetensors");
  Arrays arrays;
  for (const ArraySpan& array : reader.arrays()) {
    const Tensor t = array_of(reader, array.name);
    const size_t at = array.name.find(".experts.lora_");
    if (at == std::string::npos) {
      arrays[array.name] = t;
      continue;
    }
    for (int64_t e = 0; e < 4; ++e) {
      const std::string name = array.name.substr(0, at) + fmt::format(".experts.{}.down_proj", e) +
                               array.name.substr(at + std::string_view(".experts").size());
      Tensor part({t.size(0), 3}, DType::kF32);
      if (array.name.ends_with("lora_A.weight"))
        part = t.narrow(0, 3 * e, 3).clone();
      else
        for (int64_t j = 0; j < 3; ++j) part.narrow(1, j, 1).copy_from(t.narrow(1, 4 * j + e, 1));
      arrays[name] = part;
    }
  }
  const TempFolder folder;
  write_arrays(folder / "adapter_model.safetensors", arrays);
  fs::copy(from / "adapter_config.json", folder / "adapter_config.json");
  EXPECT_EQ(load_lora(folder.path(), *model)->identity(), want->identity());
}

TEST(AdapterOfExperts, ThoseOfAnotherModelAreRefused) {
  const auto error = [](const char* base, const char* adapter) {
    const auto model = load_model(goldens() / base / "model", {});
    return error_text([&] { load_lora(goldens() / "adapters" / adapter, *model); });
  };
  EXPECT_NE(error("mixtral", "qwen3_moe")
                .find("fit no matrices of experts at 'model.layers.0.mlp.experts' of this model "
                      "(mixtral); the adapter was made for another base ('qwen3_moe')"),
            std::string::npos);
  EXPECT_NE(error("llama", "mixtral").find("fit no matrices of experts"), std::string::npos);
}

// What rounding does to a table is told, and not more.
TEST_F(DamagedAdapter, ATableThatIsTheBasesUpToRoundingIsTheBases) {
  const std::string name = tensor("layers.0.self_attn.q_proj.base_layer.weight");
  Tensor table = model_->parameters()[0]->value.tensor();
  for (const Parameter* p : model_->parameters())
    if (p->name == "layers.0.attention.qkv.weight") table = p->value.tensor().narrow(0, 0, 16);
  std::vector<std::string> warnings;
  const Log log([&](LogLevel, const std::string& text) { warnings.push_back(text); });
  for (const double factor : {1.0, 1.02, 1.5}) {
    Tensor saved = table.clone();
    for (float& v : saved.span<float>()) v *= static_cast<float>(factor);
    arrays_[name] = saved;
    const std::string got = error();
    EXPECT_EQ(got == "no error", factor < 1.2) << got;
    if (factor < 1.2) load_lora(folder_.path(), *model_, log);
    EXPECT_EQ(warnings.size(), factor > 1.0 ? 1u : 0u);
  }
  EXPECT_NE(warnings[0].find("by 2 %"), std::string::npos) << warnings[0];
}

// The adapter of a model without its head has names without that model's prefix.
TEST_F(DamagedAdapter, NamesOfTheModelWithoutItsHeadAreFound) {
  EXPECT_EQ(error(), "no error");
  const auto want = load_lora(folder_.path(), *model_)->identity();
  Arrays shorter;
  for (const auto& [name, t] : arrays_)
    shorter["base_model.model." + name.substr(tensor("").size())] = t;
  arrays_ = shorter;
  EXPECT_EQ(error(), "no error");
  EXPECT_EQ(load_lora(folder_.path(), *model_)->identity(), want);
}

// --- models of every combination ----------------------------------------------------------------

class AdaptedCombination : public ::testing::TestWithParam<Variant> {};

// Each sequence of a pass has its own. (tests/infer/engine_adapters_test.cc does so with a cache.)
TEST_P(AdaptedCombination, SequencesOfOnePassAreEachTheirMergedModel) {
  const auto make = [] { return make_model(GetParam().config, DType::kF64, Device::kRef); };
  const auto model = make();
  const std::vector<std::shared_ptr<const LoraAdapter>> loras = {random_lora(*model, Rng(1)),
                                                                 random_lora(*model, Rng(2))};
  const std::vector<Adaptation> each = {
      {.loras = {loras[0]}}, {}, {.loras = {loras[1]}}, {.loras = loras}};
  const Tensor ids = some_ids(4, 5);
  const ModelInputs inputs = inputs_for(*model, ids);
  const RowAdapters adapters(each, inputs.rows.sequences,
                             inputs.text ? &inputs.text->sequences : nullptr);
  ModelPass pass(*model, {.adapters = &adapters});
  const Tensor got = pass.logits(pass.hidden(inputs)).value;
  const int64_t rows = got.numel() / got.size(-1) / 4;
  for (int64_t b = 0; b < 4; ++b) {
    const auto merged = merge_adapters(make(), each[static_cast<size_t>(b)].loras);
    const Tensor want = logits_of(*merged, inputs);
    const auto part = [&](const Tensor& all) {
      return all.reshape({4 * rows, got.size(-1)}).narrow(0, b * rows, rows).clone();
    };
    EXPECT_LE(largest_difference(part(got), part(want)),
              1e-9 * std::max(1.0, largest_magnitude(want)))
        << "sequence " << b;
  }
}

INSTANTIATE_TEST_SUITE_P(, AdaptedCombination, ::testing::ValuesIn(covering_variants(2)),
                         [](const auto& each) {
                           std::string name = each.param.name;
                           std::ranges::replace(name, '-', '_');
                           return std::to_string(each.index) + "_" + name.substr(0, 80);
                         });

}  // namespace
}  // namespace lathe::testing
