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
