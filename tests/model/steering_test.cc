// Steering vectors: from both formats, as transformers computes with vectors added behind its layers.
#include <gtest/gtest.h>

#include <cmath>

#include "io/temp_folder.h"
#include "lathe/model/load_model.h"
#include "model/adapter_testing.h"
#include "model/checks.h"

namespace lathe::testing {
namespace {

namespace fs = std::filesystem;

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

}  // namespace
}  // namespace lathe::testing
