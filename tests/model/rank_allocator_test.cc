// AdaLoRA's schedule of ranks: the budget by hand, which ranks stay, and what is saved of them.
#include "lathe/model/adapter/rank_allocator.h"

#include <gtest/gtest.h>

#include "io/temp_folder.h"
#include "lathe/model/load_model.h"
#include "model/adapter_testing.h"

namespace lathe::testing {
namespace {

class Allocation : public ::testing::Test {
 protected:
  std::shared_ptr<Adapter> adapter(const std::string& more = "") const {
    AdapterConfig config;
    set_keys(config,
             R"({"peft_type": "ADALORA", "init_r": 3, "target_r": 1, "tinit": 1, "tfinal": 2,
                         "deltaT": 1, "total_step": 10, "target_modules": ["q_proj"])" +
                 more + "}");
    return make_adapter(config, *model_, Rng(1));
  }
  // E is 1 everywhere; the gradient of rank i of module m is slopes[m][i], that of A and B zero.
  static void give(Adapter& adapter, ParameterGradients& gradients,
                   const std::vector<std::vector<double>>& slopes) {
    size_t m = 0;
    for (Parameter* p : adapter.parameters()) {
      GradBuffer& buffer = gradients.add(*p);
      buffer.written = true;
      buffer.tensor.fill_zero();
      if (!p->name.ends_with("lora_E")) continue;
      buffer.tensor.copy_from(Tensor::of<double>(slopes[m++], p->shape));
      p->value.tensor().copy_from(Tensor::of<double>(std::vector<double>{1, 1, 1}, p->shape));
    }
  }
  static void zero(Parameter& p, std::span<const int64_t> rows) {
    for (const int64_t row : rows) p.value.tensor().narrow(0, row, 1).fill_zero();
  }

  double change(const Adapter& a, const Adapter& b) const {
    const ModelInputs inputs = inputs_for(*model_, some_ids(1, 4, 20));
    const auto logits = [&](const Adapter& adapter) {
      return logits_with(*model_, inputs, {.loras = {low_rank_updates(adapter, "test")}});
    };
    return largest_difference(logits(a), logits(b));
  }

  const std::unique_ptr<Transformer> model_ = load_model(goldens() / "llama" / "model", {});
};

// From 2 modules of rank 3 to 2 ranks in all, between the steps 1 and 8.
TEST_F(Allocation, TheBudgetFallsWithTheCube) {
  const auto a = adapter();
  const RankAllocator allocator(*a);
  EXPECT_EQ(allocator.budget(0), 6);
  EXPECT_EQ(allocator.budget(1), 6);
  EXPECT_EQ(allocator.budget(2), 4);  // 2 + 4·(6/7)³ = 4.5
  EXPECT_EQ(allocator.budget(4), 2);  // 2 + 4·(4/7)³ = 2.7
  EXPECT_EQ(allocator.budget(8), 2);
  EXPECT_EQ(allocator.budget(9), 2);
}

TEST_F(Allocation, TheRanksThatMatterMostAreLeftAndSaved) {
  const auto a = adapter();
  RankAllocator allocator(*a);
  ParameterGradients gradients;
  give(*a, gradients, {{5, 1, 4}, {3, 2, 6}});
  for (int64_t step = 0; step < 3; ++step) allocator.update(step, gradients, zero);
  EXPECT_EQ(a->config().rank_pattern,
            (std::vector<std::string>{"model.layers.0.self_attn.q_proj=101",
                                      "model.layers.1.self_attn.q_proj=101"}));
  for (int64_t step = 3; step < 10; ++step) allocator.update(step, gradients, zero);
  EXPECT_EQ(a->config().rank_pattern,
            (std::vector<std::string>{"model.layers.0.self_attn.q_proj=100",
                                      "model.layers.1.self_attn.q_proj=001"}));
  for (const Parameter* p : a->parameters())
    if (p->name.ends_with("0.self_attn.q_proj.lora_E")) {
      EXPECT_EQ(p->value.tensor().to_vector(), (std::vector<double>{1, 0, 0}));
    }
  const TempFolder folder;
  save_adapter(*a, *model_, folder.path());
  const auto again = load_adapter(folder.path(), *model_);
  EXPECT_EQ(again->modules()[0].site.rank, 1);
  EXPECT_LE(change(*again, *a), 1e-6);
}

// A module may lose all of its ranks.
TEST_F(Allocation, AModuleWithoutRanksDoesNothing) {
  const auto a = adapter();
  RankAllocator allocator(*a);
  ParameterGradients gradients;
  give(*a, gradients, {{5, 4, 6}, {1, 1, 2}});
  for (int64_t step = 0; step < 10; ++step) allocator.update(step, gradients, zero);
  EXPECT_EQ(a->config().rank_pattern[1], "model.layers.1.self_attn.q_proj=000");
  const TempFolder folder;
  save_adapter(*a, *model_, folder.path());
  const auto again = load_adapter(folder.path(), *model_);
  EXPECT_EQ(again->modules()[1].site.rank, 0);
  EXPECT_LE(change(*again, *a), 1e-6);
}

TEST_F(Allocation, ItsStateGoesOn) {
  const auto a = adapter(), b = adapter();
  RankAllocator whole(*a), first(*b);
  ParameterGradients ga, gb;
  give(*a, ga, {{5, 1, 4}, {3, 2, 6}});
  give(*b, gb, {{5, 1, 4}, {3, 2, 6}});
  for (int64_t step = 0; step < 5; ++step) whole.update(step, ga, zero);
  for (int64_t step = 0; step < 2; ++step) first.update(step, gb, zero);
  RankAllocator second(*b);
  second.restore(first.state());
  for (int64_t step = 2; step < 5; ++step) second.update(step, gb, zero);
  EXPECT_EQ(a->config().rank_pattern, b->config().rank_pattern);
  for (const auto& [name, t] : whole.state())
    EXPECT_EQ(t.to_vector(), second.state().at(name).to_vector()) << name;
  EXPECT_NE(error_text([&] {
              second.restore({{"sensitivity.x", Tensor::zeros({1, 1}, DType::kF64)}});
            }).find("'sensitivity.x' [1, 1] is of another adapter"),
            std::string::npos);
}

TEST_F(Allocation, WhatHasNoScheduleIsRefused) {
  const auto error = [&](const std::string& keys) {
    return error_text([&] { RankAllocator(*adapter(keys)); });
  };
  EXPECT_NE(error(R"(, "total_step": 3)").find("3 steps have no room between tinit = 1"),
            std::string::npos);
  AdapterConfig config;
  set_keys(config, R"({"target_modules": ["q_proj"]})");
  const auto lora = make_adapter(config, *model_, Rng(1));
  EXPECT_NE(error_text([&] { RankAllocator allocator(*lora); }).find("ADALORA, not for LORA"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
