// Logits, loss and every gradient as transformers computes them; tools/make_goldens.py wrote the
// files, and for a family that is not there tools/make_<family>_goldens.py.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "io/temp_folder.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/family.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "lathe/model/weight_map.h"
#include "model/checks.h"
#include "paths.h"

namespace lathe::testing {
namespace {

namespace fs = std::filesystem;

Tensor read_array(const SafetensorsReader& reader, const std::string& name) {
  const ArraySpan* array = reader.find(name);
  require(array != nullptr, ErrorKind::kFormat, "golden", "no '{}'", name);
  Tensor t(Shape(std::span<const int64_t>(array->shape)),
           array->dtype == "I32" ? DType::kI32 : DType::kF32);
  std::copy(array->bytes.begin(), array->bytes.end(), t.raw());
  return t;
}

struct Arithmetic {
  DType dtype;
  Device device;
};

ModelInputs inputs_of(const Transformer& model, const SafetensorsReader& inputs) {
  const Body body = model.config().body_traits();
  ModelInputs all{
      .rows = Rows::of(read_array(inputs, body.encoder ? "decoder_input_ids" : "input_ids"))};
  if (body.encoder) all.text = Rows::of(read_array(inputs, "input_ids"));
  if (inputs.find("token_type_ids") != nullptr)
    all.rows.token_types = flat(read_array(inputs, "token_type_ids"));
  if (inputs.find("prefix") != nullptr) all.rows.prefix = read_array(inputs, "prefix");
  return all;
}

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, LogitsLossAndGradientsAreThoseOfTransformers) {
  const fs::path folder = tests_folder() / "model" / "goldens" / GetParam();
  const SafetensorsReader want(folder / "forward.safetensors");
  for (const Arithmetic& a : {Arithmetic{DType::kF64, Device::kRef}, {DType::kF32, Device::kCpu}}) {
    const auto model = load_model(folder / "model", {.dtype = a.dtype, .device = a.device});
    ParameterGradients gradients;
    for (const Parameter* p : model->parameters())
      gradients.add(*p) = {Tensor::zeros(p->shape, a.dtype, a.device), true};
    Tape tape;
    const Body body = model->config().body_traits();
    ModelPass pass(*model, {.tape = &tape, .gradients = &gradients});
    const Var hidden = pass.hidden(inputs_of(*model, want));
    EXPECT_LE(largest_difference(pass.logits(hidden).value, read_array(want, "logits")), 2e-5);
    // A decoder alone predicts the next token, the others what they are told to in place.
    const bool next = body.causal && !body.encoder;
    const Tensor labels = read_array(want, "labels");
    const Var loss =
        ops::linear_cross_entropy(hidden, pass.head(), next ? shifted(labels) : labels);
    EXPECT_NEAR(loss.value.item(), read_array(want, "loss").item(), 1e-6);
    tape.backward(loss);
    size_t compared = 0, inputs = 0;
    for (const ArraySpan& array : want.arrays()) inputs += !array.name.starts_with("grad.");
    for (const DiskTensor& t : map_weights(*model)) {
      if (!t.pieces[0].parameter->trainable) continue;
      ++compared;
      const Tensor got =
          t.gather([&](Parameter& p) -> const Tensor& { return gradients.find(p)->tensor; });
      EXPECT_LE(largest_difference(got, read_array(want, "grad." + t.name)), 5e-6) << t.name;
    }
    EXPECT_EQ(compared + inputs, want.arrays().size());
  }
}

// Saved again and loaded again, it is the same model of the same family.
TEST_P(Golden, TheFolderComesBackUnchanged) {
  const fs::path from = tests_folder() / "model" / "goldens" / GetParam() / "model";
  const TempFolder folder;
  const auto model = load_model(from, {});
  save_model(*model, folder.path(), {});
  const auto again = load_model(folder.path(), {});
  EXPECT_EQ(again->config().model_type, model->config().model_type);
  const SafetensorsReader theirs(from), ours(folder.path());
  ASSERT_EQ(ours.arrays().size(), theirs.arrays().size());
  for (const ArraySpan& a : theirs.arrays()) {
    const ArraySpan* b = ours.find(a.name);
    ASSERT_NE(b, nullptr) << a.name;
    EXPECT_TRUE(std::ranges::equal(a.bytes, b->bytes)) << a.name;
  }
}

// A file's bf16 weights left as they are are the same model as widened ones.
TEST_P(Golden, WeightsStayAsStoredWithoutLoss) {
  const fs::path from = tests_folder() / "model" / "goldens" / GetParam();
  const SafetensorsReader inputs(from / "forward.safetensors");
  const TempFolder folder;
  save_model(*load_model(from / "model", {}), folder.path(), {.dtype = DType::kBF16});
  const auto logits_as = [&](Residence residence) {
    const auto model = load_model(folder.path(), {.residence = residence});
    int64_t narrow = 0;
    for (const Parameter* p : model->parameters())
      narrow += p->value.tensor().dtype() == DType::kBF16;
    EXPECT_EQ(narrow > 0, residence != Residence::kOwn);
    return logits_of(*model, inputs_of(*model, inputs));
  };
  const Tensor want = logits_as(Residence::kOwn);
  EXPECT_LE(largest_difference(logits_as(Residence::kAsStored), want), 2e-5);
  EXPECT_LE(largest_difference(logits_as(Residence::kMapped), want), 2e-5);
}

std::vector<std::string> every_golden() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(tests_folder() / "model" / "goldens"))
    if (fs::exists(entry.path() / "forward.safetensors"))
      names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

// A folder that nobody reads would be a golden that cannot fail.
TEST(Goldens, EveryFamilyOfTransformersHasOne) {
  std::set<std::string> seen = {"lathe"};
  for (const std::string& name : every_golden())
    seen.insert(
        read_model_config(tests_folder() / "model" / "goldens" / name / "model").model_type);
  for (const std::string& family : family_names()) EXPECT_TRUE(seen.contains(family)) << family;
}

INSTANTIATE_TEST_SUITE_P(, Golden, ::testing::ValuesIn(every_golden()), [](const auto& each) {
  std::string name = each.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

}  // namespace
}  // namespace lathe::testing
