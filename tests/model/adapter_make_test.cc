// Which modules a configuration means, what cannot be made, what is written, and LoRAs combined.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "lathe/model/adapter/combine.h"
#include "lathe/model/adapter/svd.h"
#include "lathe/model/load_model.h"
#include "lathe/ops/elementwise.h"
#include "model/adapter_testing.h"

namespace lathe::testing {
namespace {

using Json = nlohmann::ordered_json;

class FreshAdapter : public ::testing::Test {
 protected:
  static AdapterConfig config(const std::string& keys) {
    AdapterConfig c;
    set_keys(c, keys);
    return c;
  }
  // The modules, without what stands before the layer's number and behind its tensor.
  std::vector<std::string> modules(const std::string& keys) {
    std::vector<std::string> names;
    const auto adapter = make_adapter(config(keys), *model_, Rng(1));
    for (const AdaptedModule& module : adapter->modules()) names.push_back(module.site.module);
    return names;
  }
  std::string error(const std::string& keys) {
    return error_text([&] { make_adapter(config(keys), *model_, Rng(1)); });
  }
  void expect(const std::string& keys, const std::string& part) {
    EXPECT_NE(error(keys).find(part), std::string::npos) << error(keys);
  }

  const std::unique_ptr<Transformer> model_ = load_model(goldens() / "llama" / "model", {});
};

TEST_F(FreshAdapter, TargetsAreEndsOfNamesOrAnExpression) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(modules(R"({"target_modules": ["q_proj"]})"),
            (Names{"model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj"}));
  EXPECT_EQ(modules(R"({"target_modules": ["layers.1.self_attn.q_proj", "proj"]})"),
            (Names{"model.layers.1.self_attn.q_proj"}));
  EXPECT_EQ(modules(R"({"target_modules": ".*layers\\.0\\.(self_attn|mlp)\\.(o|down)_proj"})"),
            (Names{"model.layers.0.self_attn.o_proj", "model.layers.0.mlp.down_proj"}));
  EXPECT_EQ(modules(R"({"target_modules": ["q_proj"], "layers_to_transform": [1],
                        "layers_pattern": ["layers"]})"),
            (Names{"model.layers.1.self_attn.q_proj"}));
  EXPECT_EQ(modules(R"({"target_modules": ["q_proj", "lm_head"], "exclude_modules": ".*0.*",
                        "modules_to_save": ["lm_head"]})"),
            (Names{"model.layers.1.self_attn.q_proj"}));
  const auto all = modules(R"({"target_modules": "all-linear"})");
  EXPECT_EQ(all.size(), 14u);
  EXPECT_EQ(std::ranges::count(all, "lm_head") + std::ranges::count(all, "model.embed_tokens"), 0);
}

TEST_F(FreshAdapter, WhatCannotBeMadeSaysWhy) {
  expect(R"({"target_modules": ["c_attn"]})",
         "[adapter.target_modules] [c_attn] names no module of this model (llama); its modules end "
         "with embed_tokens, lm_head, q_proj");
  expect("{}", "[adapter.target_modules] no modules are named; write \"all-linear\", or some of");
  expect(R"({"target_modules": ["q_proj"], "target_parameters": ["experts.down_proj"]})",
         "[adapter.target_parameters] [experts.down_proj] names no parameter");
  expect(R"({"target_modules": ["q_proj"], "modules_to_save": ["score"]})",
         "[adapter.modules_to_save] [score] names no module");
  expect(R"({"peft_type": "LN_TUNING", "target_modules": ["nrm"]})",
         "[adapter.target_modules] [nrm] names no module");
  expect(
      R"({"peft_type": "IA3", "target_modules": ["embed_tokens"]})",
      "'model.embed_tokens' is a table of embeddings, on which IA3 does not act; leave it out, or "
      "use LORA");
  expect(R"({"target_modules": ["embed_tokens"], "use_dora": true})",
         "[model.embed_tokens] use_dora, lora_bias and init_lora_weights = \"pissa\" act on linear "
         "layers, not on tables");
  expect(R"({"target_modules": ["q_proj"], "use_dora": true, "lora_bias": true})",
         "[adapter.lora_bias]");
  expect(R"({"target_modules": ["q_proj"], "use_rslora": true, "init_lora_weights": "pissa"})",
         "[adapter.init_lora_weights] \"pissa\" is saved as a plain LoRA");
  expect(R"({"target_modules": ["q_proj"], "r": 0})", "is 0, expected at least 1");
  expect(R"({"target_modules": ["q_proj"], "rank_pattern": ["q_proj"]})",
         "'q_proj' is not a pattern and its value; write it as \"q_proj=4\"");
  expect(R"({"target_modules": ["q_proj"], "trainable_token_indices": [3, 3]})",
         "trainable_token_indices has 3, expected different ids below");
  expect(R"({"peft_type": "OFT", "oft_block_size": 7, "target_modules": ["q_proj"]})",
         "[adapter.oft_block_size] 7 does not divide the 16 inputs of 'model.layers.0.self_attn");
  expect(R"({"peft_type": "OFT", "use_cayley_neumann": false, "oft_block_size": 4,
             "target_modules": ["q_proj"]})",
         "[adapter.use_cayley_neumann] false needs an inverse");
  expect(R"({"peft_type": "MISS", "r": 2, "init_weights": "bat", "target_modules": ["q_proj"]})",
         "[adapter.init_weights] \"bat\" multiplies with blocks of W");
  const auto t5 = load_model(goldens() / "t5" / "model", {});
  EXPECT_NE(error_text([&] {
              make_adapter(config(R"({"peft_type": "PREFIX_TUNING"})"), *t5, Rng(1));
            }).find("PREFIX_TUNING puts virtual tokens before a text that is continued, but body"),
            std::string::npos);
  const auto deepseek = load_model(goldens() / "deepseek_v2" / "model", {});
  EXPECT_NE(error_text([&] {
              make_adapter(config(R"({"peft_type": "PREFIX_TUNING"})"), *deepseek, Rng(1));
            }).find("keys and values of heads, which attention \"latent\" does not have"),
            std::string::npos);
}

// As a file has them one by one, or as Lathe's own has them stacked.
TEST_F(FreshAdapter, ExpertsAreNamedByTheirStacks) {
  ModelConfig own;
  own.model_type = "lathe";
  own.vocab_size = 20;
  own.hidden_size = 16;
  own.num_attention_heads = 2;
  own.num_hidden_layers = 1;
  own.intermediate_size = 8;
  own.moe.num_experts = 2;
  own.moe.num_experts_per_tok = 1;
  Transformer stacked(own);
  stacked.allocate(DType::kF32);
  stacked.initialize(Rng(1));
  const auto one_by_one = load_model(goldens() / "qwen3_moe" / "model", {});
  const auto expect_stacks = [](Transformer& model, const std::string& name) {
    const std::string keys = R"({"target_modules": "all-linear", "target_parameters": [")";
    const std::string refused =
        error_text([&] { make_adapter(config(keys + name + "\"]}"), model, Rng(1)); });
    EXPECT_TRUE(refused.starts_with("[adapter.target_parameters] [" + name +
                                    "] names no parameter of this model ("))
        << refused;
    EXPECT_NE(refused.find("; its parameters end with gate_up_proj, down_proj, embed"),
              std::string::npos)
        << refused;
    // As it says.
    const auto adapter =
        make_adapter(config(keys + R"(gate_up_proj", "down_proj"]})"), model, Rng(1));
    EXPECT_EQ(std::ranges::count_if(adapter->modules(),
                                    [](const AdaptedModule& m) { return m.site.experts > 0; }),
              2 * model.config().num_hidden_layers);
  };
  expect_stacks(stacked, "gate_up.weight");
  expect_stacks(*one_by_one, "experts.0.gate_proj.weight");
}

TEST_F(FreshAdapter, EachModuleDrawsFromItsOwnStream) {
  const auto some = make_adapter(config(R"({"target_modules": ["q_proj"]})"), *model_, Rng(1)),
             more = make_adapter(config(R"({"target_modules": ["o_proj", "q_proj"]})"), *model_,
                                 Rng(1)),
             other = make_adapter(config(R"({"target_modules": ["q_proj"]})"), *model_, Rng(2));
  const auto value = [](const Adapter& adapter) {
    for (const Parameter* p : adapter.parameters())
      if (p->name == "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight")
        return p->value.tensor().to_vector();
    return std::vector<double>();
  };
  EXPECT_FALSE(value(*some).empty());
  EXPECT_EQ(value(*some), value(*more));
  EXPECT_NE(value(*some), value(*other));
}

TEST_F(FreshAdapter, WhatIsWrittenHasTheKeysOfItsKindOnly) {
  const TempFolder folder;
  const auto written = [&](const std::string& keys) {
    save_adapter(*make_adapter(config(keys), *model_, Rng(1)), *model_, folder.path());
    return read_json_file(folder / "adapter_config.json");
  };
  Json lora = written(R"({"r": 3, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj"],
                          "rank_pattern": ["v_proj=2"], "init_lora_weights": "gaussian"})");
  EXPECT_EQ(lora["rank_pattern"], (Json{{"v_proj", 2}}));
  EXPECT_EQ(lora["target_modules"], (Json{"q_proj", "v_proj"}));
  EXPECT_EQ(lora["task_type"], "CAUSAL_LM");
  for (const char* key : {"oft_block_size", "num_virtual_tokens", "init_weights", "d_initial",
                          "prefix_projection", "init_r"})
    EXPECT_FALSE(lora.contains(key)) << key;
  EXPECT_EQ(written(R"({"target_modules": "all-linear"})")["target_modules"], "all-linear");
  const Json ia3 = written(R"({"peft_type": "IA3", "target_modules": ["q_proj", "down_proj"],
                               "feedforward_modules": ".*down.*"})");
  EXPECT_EQ(ia3["feedforward_modules"], ".*down.*");
  EXPECT_EQ(ia3["target_modules"], (Json{"q_proj", "down_proj"}));
  EXPECT_EQ(
      written(
          R"({"peft_type": "ADALORA", "tinit": 2, "target_modules": ["q_proj"]})")["total_step"],
      3);
  const Json pissa = written(
      R"({"r": 2, "lora_alpha": 6, "init_lora_weights": "pissa", "target_modules": ["q_proj"]})");
  EXPECT_EQ(pissa["r"], 4);
  EXPECT_EQ(pissa["lora_alpha"], 12);
  EXPECT_EQ(pissa["init_lora_weights"], true);
  const Json prefix = written(R"({"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 4})");
  EXPECT_EQ(prefix["num_layers"], 2);
  EXPECT_EQ(prefix["token_dim"], model_->config().kv_heads() * model_->config().head_width());
  EXPECT_FALSE(prefix.contains("bias"));
}

// AdaLoRA's file says which ranks are left of each module.
TEST_F(FreshAdapter, RanksThatAreLeftAreReadAndWritten) {
  const TempFolder folder;
  const AdapterConfig c =
      config(R"({"peft_type": "ADALORA", "init_r": 4, "target_modules": ["q_proj"],
                 "rank_pattern": ["model.layers.0.self_attn.q_proj=1010",
                                  "model.layers.1.self_attn.q_proj=0111"]})");
  save_adapter(*make_adapter(c, *model_, Rng(1)), *model_, folder.path());
  const Json written = read_json_file(folder / "adapter_config.json");
  EXPECT_EQ(written["rank_pattern"]["model.layers.0.self_attn.q_proj.lora_E"],
            (Json{true, false, true, false}));
  const auto again = load_adapter(folder.path(), *model_);
  EXPECT_EQ(again->config().rank_pattern, c.rank_pattern);
  EXPECT_EQ(again->modules()[0].site.rank, 2);
  EXPECT_EQ(again->modules()[1].site.rank, 3);
}

// One module whose A and B are given, with a scale of 1.
class Combining : public FreshAdapter {
 protected:
  std::shared_ptr<const Adapter> lora(const std::vector<double>& a, const std::vector<double>& b) {
    std::shared_ptr<Adapter> adapter = make_adapter(
        config(R"({"r": 2, "lora_alpha": 2, "target_modules": ["layers.0.self_attn.q_proj"]})"),
        *model_, Rng(1));
    for (Parameter* p : adapter->parameters()) {
      std::vector<double> values(static_cast<size_t>(p->shape.numel()), 0.0);
      const auto& first = p->name.find("lora_A") != std::string::npos ? a : b;
      std::ranges::copy(first, values.begin());
      p->value.tensor().copy_from(Tensor::of<double>(values, p->shape));
    }
    return adapter;
  }
  // The first numbers of A or B.
  std::vector<double> combined(const Combination& c, const char* factor, size_t count) {
    const std::vector all = {lora({1, -4, 0, 2}, {3, 0, 1}), lora({3, 1, 0, -2}, {-1, 2, 5})};
    const auto result = combine(all, c, *model_);
    for (const Parameter* p : result->parameters())
      if (p->name.find(factor) != std::string::npos) {
        auto values = p->value.tensor().to_vector();
        values.resize(count);
        return values;
      }
    return {};
  }
};

TEST_F(Combining, FactorsAreAddedWithTheRootsOfTheirWeights) {
  const auto a = combined({.how = "linear", .weights = {4, -9}}, "lora_A", 4);
  const auto b = combined({.how = "linear", .weights = {4, -9}}, "lora_B", 3);
  for (const auto& [got, want] : {std::pair{a[0], 2 * 1 - 3 * 3.0},
                                  {a[1], 2 * -4 - 3 * 1.0},
                                  {a[3], 2 * 2 + 3 * 2.0},
                                  {b[0], 2 * 3 + 3 * -1.0},
                                  {b[2], 2 * 1 + 3 * 5.0}})
    EXPECT_NEAR(got, want, 1e-6);
}

// By hand: of 32 numbers of A a density of 2/32 keeps -4 and 2, and 3 and -2; the sums are 3, -4, 0, 0,
// whose signs are +, -, +, +.
TEST_F(Combining, TiesKeepsTheSignThatPrevails) {
  const auto a = combined({.how = "ties", .weights = {1, 1}, .density = 2.0 / 32}, "lora_A", 4);
  EXPECT_EQ(a, (std::vector<double>{3, -4, 0, 2}));
  const auto pruned =
      combined({.how = "magnitude_prune", .weights = {1, 1}, .density = 2.0 / 32}, "lora_A", 4);
  EXPECT_EQ(pruned, (std::vector<double>{3, -4, 0, 0}));
}

TEST_F(Combining, DareDropsAndScalesUpAsTheSeedSays) {
  const auto of = [&](uint64_t seed) {
    return combined({.how = "dare_linear", .weights = {1, 0}, .density = 0.5, .rng = Rng(seed)},
                    "lora_A", 4);
  };
  EXPECT_EQ(of(1), of(1));
  std::set<double> seen;
  for (uint64_t seed = 0; seed < 20; ++seed) seen.insert(of(seed)[1]);
  EXPECT_EQ(seen, (std::set<double>{-8, 0}));
}

TEST_F(Combining, WhatDoesNotGoTogetherIsRefused) {
  const auto error = [&](const Combination& c, std::vector<std::shared_ptr<const Adapter>> all) {
    return error_text([&] { combine(all, c, *model_); });
  };
  const auto one = lora({1}, {1});
  EXPECT_NE(error({.how = "mean", .weights = {1}}, {one}).find("unknown name 'mean'"),
            std::string::npos);
  EXPECT_NE(error({.weights = {1}}, {one, one}).find("1 weights for 2 adapters"),
            std::string::npos);
  EXPECT_NE(error({.weights = {1}, .density = 0}, {one}).find("0 is not in (0, 1]"),
            std::string::npos);
  const std::shared_ptr<const Adapter> ia3 = make_adapter(
      config(R"({"peft_type": "IA3", "target_modules": ["q_proj"]})"), *model_, Rng(1));
  EXPECT_NE(error({.weights = {1, 1}}, {one, ia3}).find("one is IA3"), std::string::npos);
  const std::shared_ptr<const Adapter> wider =
      make_adapter(config(R"({"r": 3, "target_modules": ["q_proj"]})"), *model_, Rng(1));
  EXPECT_NE(error({.weights = {1, 1}}, {one, wider}).find("different ranks"), std::string::npos);
}

TEST(Svd, IsTheMatrixOfItsSingularValues) {
  for (const Shape& shape : {Shape{5, 3}, Shape{3, 7}, Shape{4, 4}}) {
    std::vector<double> values;
    for (int64_t i = 0; i < shape.numel(); ++i)
      values.push_back(Rng(5).normal(static_cast<uint64_t>(i)));
    const Tensor w = Tensor::of<double>(values, shape, Device::kRef);
    const Svd svd = singular_values(w, 10);
    ASSERT_EQ(svd.values.size(), static_cast<size_t>(std::min(shape[0], shape[1])));
    EXPECT_TRUE(std::ranges::is_sorted(svd.values, std::greater<>()));
    const auto u = svd.left.to_vector(), v = svd.right.to_vector();
    const auto n = std::ssize(svd.values);
    for (int64_t i = 0; i < shape[0]; ++i)
      for (int64_t j = 0; j < shape[1]; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < n; ++k)
          sum += u[static_cast<size_t>(i * n + k)] * svd.values[static_cast<size_t>(k)] *
                 v[static_cast<size_t>(k * shape[1] + j)];
        EXPECT_NEAR(sum, values[static_cast<size_t>(i * shape[1] + j)], 1e-12);
      }
    for (int64_t a = 0; a < n; ++a)
      for (int64_t b = 0; b < n; ++b) {
        double product = 0;
        for (int64_t j = 0; j < shape[1]; ++j)
          product +=
              v[static_cast<size_t>(a * shape[1] + j)] * v[static_cast<size_t>(b * shape[1] + j)];
        EXPECT_NEAR(product, a == b ? 1 : 0, 1e-12);
      }
  }
  // A large matrix of few directions: in a subspace.
  std::vector<double> a, b;
  for (uint64_t i = 0; i < 300 * 6; ++i) {
    a.push_back(Rng(6).normal(i));
    b.push_back(Rng(7).normal(i) * (i < 300 ? 5 : 1));
  }
  const Var left = Tensor::of<double>(a, {300, 6}), right = Tensor::of<double>(b, {6, 300});
  const Tensor low = matmul(left, right).value;
  const Svd some = singular_values(low, 4), all = singular_values(low, 300);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(some.values[i], all.values[i], 1e-9 * all.values[0]) << i;
  const Tensor again =
      matmul(ops::multiply(Var(some.left), Var(Tensor::of<double>(some.values, {4}))),
             Var(some.right))
          .value;
  double error = 0;
  const auto x = low.to_vector(), y = again.to_vector();
  for (size_t i = 0; i < x.size(); ++i) error += (x[i] - y[i]) * (x[i] - y[i]);
  const double rest = all.values[4] * all.values[4] + all.values[5] * all.values[5];
  EXPECT_NEAR(error, rest, 1e-6 * rest);
  EXPECT_EQ(singular_values(Tensor::zeros({3, 2}, DType::kF32), 1).values,
            (std::vector<double>{0}));
}

}  // namespace
}  // namespace lathe::testing
