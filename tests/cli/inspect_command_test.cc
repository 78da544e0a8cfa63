#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/base/rng.h"
#include "lathe/model/model_pass.h"
#include "lathe/model/summary.h"
#include "lathe/ops/cross_entropy.h"
#include "lathe/tensor/storage.h"

namespace lathe {
namespace {

nlohmann::json inspect(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "inspect");
  arguments.emplace_back("--json");
  const CommandResult r = run_lathe(arguments);
  EXPECT_EQ(r.code, 0) << r.err;
  return nlohmann::json::parse(r.out);
}

// GPT-2 small, by hand: L = 12, C = 768, V = 50257, P = 1024.
TEST(Inspect, CountsOfGpt2) {
  const auto j = inspect({"gpt2-124m"});
  const int64_t block = (3 * 768 * 768 + 3 * 768) + (768 * 768 + 768) + (4 * 768 * 768 + 4 * 768) +
                        (4 * 768 * 768 + 768) + 4 * 768;
  const int64_t all = 50257 * 768 + 1024 * 768 + 12 * block + 2 * 768;
  EXPECT_EQ(all, 124439808);
  EXPECT_EQ(j["parameters"], all);
  const int64_t multiplied = all - 1024 * 768;
  EXPECT_EQ(j["parameters_multiplied"], multiplied);
  EXPECT_EQ(j["forward_flops_per_token"], 2.0 * multiplied + 2.0 * 12 * 768 * 1024);
  EXPECT_EQ(j["training_flops_per_token"], 6.0 * multiplied + 6.0 * 12 * 768 * 1024);
  EXPECT_EQ(j["gradient_bytes"], 4 * all);
  EXPECT_EQ(j["optimizer_bytes"], 8 * all);
  EXPECT_EQ(j["cache_bytes_per_token"], 2 * 12 * 768 * 2);
  EXPECT_EQ(inspect({"presets/gpt2-124m", "--precision", "fp32"})["cache_bytes_per_token"],
            2 * 12 * 768 * 4);
}

TEST(Inspect, SaysWhatAPaperSays) {
  const auto j = inspect({"presets/palm-540b"});
  EXPECT_EQ(j["published"], "540.35B parameters (Chowdhery et al. 2022, arXiv:2204.02311)");
  EXPECT_EQ(j["parameters"], 540356474880);
  const std::string text = run_lathe({"inspect", "presets/palm-540b"}).out;
  EXPECT_NE(text.find("published: 540.35B parameters (Chowdhery et al. 2022, arXiv:2204.02311)\n"),
            std::string::npos)
      << text;
  EXPECT_TRUE(inspect({"m26"})["published"].is_null());
}

TEST(Inspect, TreeSumsToTheTotalAndEqualLayersAreFolded) {
  const auto j = inspect({"m26"});
  int64_t sum = 0;
  for (const auto& m : j["modules"])
    for (const auto& [name, shape] : m["shapes"].items()) {
      int64_t n = 1;
      for (int64_t size : shape) n *= size;
      sum += n;
    }
  EXPECT_EQ(sum, j["parameters"]);
  const std::string folded = run_lathe({"inspect", "m26"}).out,
                    whole = run_lathe({"inspect", "m26", "--layers"}).out;
  EXPECT_NE(folded.find("layers.0  (x 8)"), std::string::npos) << folded;
  EXPECT_EQ(folded.find("layers.1"), std::string::npos);
  EXPECT_NE(folded.find("final_norm"), std::string::npos);
  EXPECT_NE(whole.find("layers.7"), std::string::npos);
}

TEST(Inspect, RecipesWithOverrides) {
  const TempFolder folder;
  const auto recipe =
      folder
          .write("r.toml",
                 "[model]\nvocab_size = 64\nhidden_size = 32\nnum_hidden_layers = "
                 "2\nnum_attention_heads = 4\n"
                 "[data]\ntrain = \"x\"\n[train]\nprecision = \"fp32\"\n[optim]\nname = \"lion\"\n")
          .string();
  const auto j = inspect({recipe, "--model.num_hidden_layers=3"});
  EXPECT_EQ(j["optimizer_bytes"], 4 * j["parameters"].get<int64_t>());
  EXPECT_EQ(j["weight_bytes"], 4 * j["parameters"].get<int64_t>());
  EXPECT_EQ(inspect({recipe, "--train.precision=bf16"})["precision"], "bf16");
}

TEST(Inspect, ErrorsNameTheChoices) {
  EXPECT_NE(run_lathe({"inspect", "m62"}).err.find("Did you mean 'm26'?"), std::string::npos);
  EXPECT_NE(run_lathe({"inspect", "gone.toml"}).err.find("gone.toml"), std::string::npos);
  EXPECT_NE(run_lathe({"inspect", "m26", "--train.steps=3"}).err.find("a key of a recipe"),
            std::string::npos);
}

TEST(Inspect, LengthsThatNoNumberHoldsAreRefused) {
  for (const char* length : {"9223372036854775807", "68719476737"})
    EXPECT_NE(run_lathe({"inspect", "m26", "--seq-len", length, "--batch-size", "1"})
                  .err.find("tokens in one pass; ask for fewer"),
              std::string::npos)
        << length;
}

TEST(Inspect, TheMatrixNamesEveryPairAndWhyNot) {
  const auto j = inspect({"--matrix"});
  size_t pairs = 0;
  for (size_t a = 0; a < j["dimensions"].size(); ++a)
    for (size_t b = a + 1; b < j["dimensions"].size(); ++b)
      pairs += j["dimensions"][a]["choices"].size() * j["dimensions"][b]["choices"].size();
  EXPECT_EQ(j["pairs"].size(), pairs);
  size_t refused = 0;
  for (const auto& p : j["pairs"]) {
    EXPECT_EQ(p["works"], p["reason"] == "") << p.dump();
    refused += p["works"] == false;
  }
  EXPECT_GT(refused, 0u);
  const CommandResult text = run_lathe({"inspect", "--matrix"});
  EXPECT_NE(text.out.find("latent"), std::string::npos);
  EXPECT_EQ(run_lathe({"help", "--combinations"}).out, text.out);
  EXPECT_NE(run_lathe({"inspect", "m26", "--matrix"}).err.find("leave out the model"),
            std::string::npos);
  EXPECT_NE(run_lathe({"inspect"}).err.find("give a model folder"), std::string::npos);
}

// The formula of activations against what the allocator hands out between forward and backward.
TEST(Inspect, ActivationBytesAreWhatTheTapeHolds) {
  ModelConfig c;
  c.vocab_size = 128;
  c.hidden_size = 64;
  c.num_hidden_layers = 6;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.tie_word_embeddings = true;
  Transformer model(c);
  model.allocate(DType::kF32);
  model.initialize(Rng(1));
  ParameterGradients gradients;
  for (const Parameter* p : model.parameters()) gradients.add(*p);
  const int64_t batch = 2, tokens = 96;
  Tensor ids({batch, tokens}, DType::kI32);
  for (int64_t i = 0; i < ids.numel(); ++i) ids.data<int32_t>()[i] = static_cast<int32_t>(i % 128);
  for (const auto& [recompute, name] :
       {std::pair{Recompute::kNone, "none"}, {Recompute::kSelective, "selective"}}) {
    Tape tape({.keep_cheap = recompute != Recompute::kSelective});
    ModelPass pass(model, {.tape = &tape, .gradients = &gradients}, Rng(0), recompute);
    const size_t before = host_allocator().bytes_in_use();
    const Var hidden = pass.hidden({Rows::of(ids)});
    const Var loss = ops::linear_cross_entropy(hidden, pass.head(), ids);
    const auto held = static_cast<double>(host_allocator().bytes_in_use() - before);
    ModelCost cost = model_cost(
        model,
        {.seq_len = tokens, .batch_size = batch, .compute = DType::kF32, .recompute = recompute});
    const auto chunk =
        static_cast<double>(4 * batch * tokens * c.vocab_size);  // logits are gone by now
    EXPECT_NEAR(held / (static_cast<double>(cost.activation_bytes) - chunk), 1.0, 0.2) << name;
    tape.backward(loss);
  }
}

}  // namespace
}  // namespace lathe
