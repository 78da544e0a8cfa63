// What models and threads share: weights between models, a model between threads.

#include <gtest/gtest.h>

#include <thread>

#include "model/checks.h"

namespace lathe::testing {
namespace {

// A weight is a handle: a second model of the same values takes no memory of its own.
TEST(Weights, TwoModelsShareThem) {
  const auto owner = make_model(tiny_config(), DType::kF32, Device::kCpu);
  Transformer other(tiny_config());
  const auto from = owner->parameters(), to = other.parameters();
  for (size_t i = 0; i < from.size(); ++i) to[i]->value = from[i]->value;
  EXPECT_TRUE(to[0]->value.tensor().shares_storage(from[0]->value.tensor()));
  EXPECT_EQ(logits_of(other, some_ids(2, 5)).to_vector(),
            logits_of(*owner, some_ids(2, 5)).to_vector());
}

// Gradients are no part of a model: each thread differentiates the same one into its own.
TEST(Gradients, TwoThreadsDifferentiateOneModel) {
  const std::unique_ptr<const Transformer> model =
      make_model(tiny_config(), DType::kF32, Device::kCpu);
  const auto gradients_of = [&](int64_t rows) {
    std::map<std::string, std::vector<double>> all;
    for (const auto& [name, g] : loss_with_gradients(*model, some_ids(rows, 6)).gradients)
      all[name] = g.to_vector();
    return all;
  };
  std::vector<std::thread> threads;
  std::vector<int> wrong(2, 0);
  for (size_t thread = 0; thread < 2; ++thread)
    threads.emplace_back([&, thread, rows = static_cast<int64_t>(thread) + 1,
                          want = gradients_of(static_cast<int64_t>(thread) + 1)] {
      for (int round = 0; round < 50; ++round) wrong[thread] += gradients_of(rows) != want;
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, (std::vector<int>{0, 0}));
}

}  // namespace
}  // namespace lathe::testing
