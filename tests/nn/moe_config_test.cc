// The keys of a mixture of experts: which layers have experts, what is refused, recipes.

#include <nlohmann/json.hpp>

#include "lathe/base/catalogue.h"
#include "lathe/config/read_write.h"
#include "lathe/nn/moe/router.h"
#include "nn/moe_testing.h"

namespace lathe::testing {
namespace {

TEST(MoeConfig, PlacesExpertsInLayersAsTheFamiliesDo) {
  MoeConfig c = moe_config("softmax_topk", 4, 2);
  const auto layers = [&] {
    std::string s;
    for (int64_t i = 0; i < 6; ++i) s += c.in_layer(i) ? 'x' : '.';
    return s;
  };
  EXPECT_EQ(layers(), "xxxxxx");
  c.first_k_dense_replace = 1;
  EXPECT_EQ(layers(), ".xxxxx");
  c.decoder_sparse_step = 2;
  EXPECT_EQ(layers(), ".x.x.x");
  c.mlp_only_layers = {3};
  EXPECT_EQ(layers(), ".x...x");
  c.num_experts = 0;
  EXPECT_EQ(layers(), "......");
}

TEST(MoeConfig, RefusesWhatCannotWork) {
  const auto refusal = [](auto&& change) -> std::string {
    MoeConfig c = moe_config("softmax_topk", 8, 2);
    change(c);
    try {
      validate(c);
    } catch (const Error& e) {
      return std::string(e.what()).substr(0, std::string(e.what()).find(']') + 1);
    }
    return "";
  };
  EXPECT_EQ(refusal([](MoeConfig&) {}), "");
  EXPECT_EQ(refusal([](MoeConfig& c) { c.num_experts_per_tok = 9; }),
            "[model.moe.num_experts_per_tok]");
  EXPECT_EQ(refusal([](MoeConfig& c) { c.n_group = 3; }), "[model.moe.n_group]");
  EXPECT_EQ(refusal([](MoeConfig& c) {
              c.n_group = 2;
              c.router = "gshard";
            }),
            "[model.moe.n_group]");
  EXPECT_EQ(refusal([](MoeConfig& c) {
              c.n_group = 8;
              c.topk_group = 4;
              c.router = "sigmoid";
            }),
            "[model.moe.n_group]");
  EXPECT_EQ(refusal([](MoeConfig& c) { c.topk_group = 2; }), "[model.moe.topk_group]");
  EXPECT_EQ(refusal([](MoeConfig& c) {
              c.n_group = 8;
              c.topk_group = 1;
            }),
            "[model.moe.num_experts_per_tok]");
  EXPECT_EQ(refusal([](MoeConfig& c) { c.shared_expert_gate = true; }),
            "[model.moe.shared_expert_gate]");
  EXPECT_EQ(refusal([](MoeConfig& c) {
              c.n_shared_experts = c.shared_expert_intermediate_size.emplace(1);
            }),
            "[model.moe.shared_expert_intermediate_size]");
  EXPECT_EQ(refusal([](MoeConfig& c) {
              c.num_experts = 1;
              c.router = "gshard";
            }),
            "[model.moe.num_experts_per_tok]");
}

TEST(MoeConfig, IsReadFromAndWrittenToARecipe) {
  MoeConfig c;
  read_config(c, nlohmann::ordered_json::parse(R"({"num_experts": 8, "router": "sigmoid",
      "router_aux_loss_coef": 0.1, "mlp_only_layers": [0, 2], "expert_capacity": 5})"),
              "model.moe");
  EXPECT_EQ(c.num_experts, 8);
  EXPECT_EQ(c.balance_coefficient(), 0.1);
  EXPECT_EQ(c.expert_capacity, 5);
  EXPECT_FALSE(c.in_layer(2));
  MoeConfig again;
  read_config(again, write_config(c), "model.moe");
  EXPECT_EQ(write_config(again), write_config(c));
  EXPECT_THROW(read_config(c, nlohmann::ordered_json{{"router", "sigmod"}}, "model.moe"), Error);
  EXPECT_EQ(MoeConfig().balance_coefficient(), 0.01);
}

TEST(MoeConfig, OnlyExpertChoiceIsNotCausal) {
  for (const auto& entry : routers())
    EXPECT_EQ(is_causal(moe_config(std::string(entry.name), 4, 2)), entry.name != "expert_choice");
}

}  // namespace
}  // namespace lathe::testing
