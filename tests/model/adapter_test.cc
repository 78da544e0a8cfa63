// LoRA adapters: the logits that PEFT computes (tools/make_adapter_goldens.py), updates by hand, and
// what is refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/adapter/lora_config.h"
#include "lathe/model/adapter/row_adapters.h"
#include "lathe/model/load_model.h"
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

}  // namespace
}  // namespace lathe::testing
