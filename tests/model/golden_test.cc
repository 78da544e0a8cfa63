// Logits, loss and every gradient as transformers computes them; tools/make_goldens.py wrote the
// files.

#include <gtest/gtest.h>

#include "lathe/io/safetensors.h"
#include "lathe/model/folder.h"
#include "lathe/model/weight_map.h"
#include "model/checks.h"

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

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, LogitsLossAndGradientsAreThoseOfTransformers) {
  const fs::path folder = fs::path(LATHE_TEST_DIR) / "model" / "goldens" / GetParam();
  const SafetensorsReader want(folder / "forward.safetensors");
  for (const Arithmetic& a : {Arithmetic{DType::kF64, Device::kRef}, {DType::kF32, Device::kCpu}}) {
    const auto model = load_model(folder / "model", {.dtype = a.dtype, .device = a.device});
    for (Parameter* p : model->parameters())
      p->grad = {Tensor::zeros(p->shape, a.dtype, a.device), true};
    Tape tape;
    Forward f;
    f.tape = &tape;
    const Var hidden = model->hidden(f, read_array(want, "input_ids"));
    EXPECT_LE(largest_difference(model->logits(f, hidden).value, read_array(want, "logits")), 2e-5);
    const Var loss =
        ops::linear_cross_entropy(hidden, model->head(f), shifted(read_array(want, "labels")));
    EXPECT_NEAR(loss.value.item(), read_array(want, "loss").item(), 1e-6);
    tape.backward(loss);
    const auto tensors = map_weights(*model);
    EXPECT_EQ(tensors.size() + 4, want.arrays().size());
    for (const DiskTensor& t : tensors)
      EXPECT_LE(
          largest_difference(t.gather([](Parameter& p) -> const Tensor& { return p.grad.tensor; }),
                             read_array(want, "grad." + t.name)),
          2e-6)
          << t.name;
  }
}

INSTANTIATE_TEST_SUITE_P(, Golden, ::testing::Values("llama", "gpt2"),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace lathe::testing
