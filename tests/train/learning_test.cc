// Training as a whole: one batch learned by heart, and ten steps as PyTorch makes them.

#include "lathe/io/json_file.h"
#include "lathe/model/convert/conversion.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "lathe/model/model_pass.h"
#include "lathe/optim/optimizers.h"
#include "paths.h"
#include "train/run.h"

namespace lathe::testing {
namespace {

class Learning : public Run {
 protected:
  double last_loss(const std::string& patch) {
    start_over();
    train(recipe(patch.c_str()));
    return metrics().back()["loss"];
  }
};

// 2·8 random tokens, seen every step; the loss of a guess is log 13 = 2.56.
TEST_F(Learning, OneBatchIsLearnedByHeart) {
  std::vector<int32_t> noise;
  for (uint64_t i = 0; i < 17; ++i) noise.push_back(static_cast<int32_t>(Rng(5).below(i, 13)));
  write_shard(folder_ / "train", {noise});
  recipe_["train"].update(Json{{"steps", 80}, {"checkpoint_every", 0}});
  recipe_["data"].erase("valid");
  recipe_["optim"].update(Json{{"lr", 0.02}, {"weight_decay", 0.0}});
  for (
      const char* patch :
      {R"({})", R"({"train": {"precision": "bf16"}})",
       R"({"model": {"norm": {"kind": "layer", "bias": true, "placement": "post"},
                      "position": {"kind": "learned"}, "ffn": {"kind": "mlp"}, "hidden_act": "gelu",
                      "attention_bias": true, "mlp_bias": true, "tie_word_embeddings": true}})",
       R"({"model": {"model_type": "gpt2", "num_key_value_heads": 2, "tie_word_embeddings": false}})",
       R"({"model": {"position": {"rope_layout": "interleaved"}, "hidden_act": "relu"}})"})
    EXPECT_LT(last_loss(patch), 0.05) << patch;
}

// The loss of a guess is log 20 = 3.0.
TEST_F(Learning, EveryBodyLearnsWhatItIsFor) {
  recipe_["train"].update(
      Json{{"steps", 100}, {"checkpoint_every", 0}, {"batch_size", 8}, {"seq_len", 16}});
  recipe_["data"].erase("valid");
  recipe_["optim"].update(Json{{"lr", 0.02}});
  // Of masked tokens there are few in a batch, and no rule to find them by but their neighbours.
  for (const auto& [name, patch] : body_patches())
    EXPECT_LT(last_loss(patch), name.starts_with("masked") ? 2.7 : 2.4) << name;
}

// As U-PaLM was made: a decoder, its weights in a prefix decoder, and on with another objective.
TEST_F(Learning, ADecoderGoesOnAsAPrefixDecoder) {
  recipe_["train"].update(
      Json{{"steps", 40}, {"checkpoint_every", 0}, {"batch_size", 8}, {"seq_len", 16}});
  recipe_["data"].erase("valid");
  recipe_["optim"].update(Json{{"lr", 0.02}});
  recipe_["model"].update(Json{{"vocab_size", 20}, {"pad_token_id", 13}});
  train(recipe());
  fs::create_directory(folder_ / "prefix");
  save_model(*convert(load_model(out() / "model", {}), {.body = "prefix_decoder"}),
             folder_ / "prefix", {});
  recipe_["model"] = {{"from", (folder_ / "prefix").string()}};
  for (const char* objective : {"prefix_lm", "ul2"}) {
    start_over();
    recipe_["objective"] = {{"name", objective}, {"sentinels", 6}};
    train(recipe());
    const double first = metrics().front()["loss"], last = metrics().back()["loss"];
    EXPECT_LT(last, 0.9 * first) << objective;
    EXPECT_LT(last, 2.4) << objective;
    EXPECT_EQ(read_model_config(out() / "model").body, "prefix_decoder");
  }
}

// Two and three tokens ahead the same rule holds.
TEST_F(Learning, ModulesLearnToLookFurtherAhead) {
  recipe_["train"].update(Json{{"steps", 300}, {"checkpoint_every", 0}, {"batch_size", 8}});
  recipe_["data"].erase("valid");
  recipe_["optim"].update(Json{{"lr", 0.01}});
  recipe_["model"]["model_type"] = "lathe";
  // Parameters are drawn by name: what both have begins alike.
  const auto first_loss = [&](int64_t modules) {
    start_over();
    recipe_["model"]["num_nextn_predict_layers"] = modules;
    train(recipe());
    return metrics().front()["loss"].get<double>();
  };
  const double alone = first_loss(0);
  EXPECT_EQ(first_loss(2), alone);
  const auto model = load_model(out() / "model", {});
  // 0 3 6 9 12 2 …: what comes next, and after that.
  std::vector<int32_t> text;
  for (int32_t i = 0; i < 8; ++i) text.push_back(3 * i % 13);
  const auto said = [&](const Var& hidden) {
    const auto logits = model->logits({}, hidden).value.to_vector();
    const auto last = logits.end() - 13;
    return static_cast<int32_t>(std::max_element(last, logits.end()) - last);
  };
  std::vector<int32_t> ids = text;
  ModelPass pass(*model, {});
  Var hidden = pass.hidden({Rows::of({ids})});
  for (int32_t depth = 0; depth <= 2; ++depth) {
    EXPECT_EQ(said(hidden), 3 * (8 + depth) % 13) << depth;
    ids.erase(ids.begin());
    ids.push_back(3 * (8 + depth) % 13);
    if (depth < 2) hidden = pass.mtp_hidden(depth + 1, hidden, Tensor::of<int32_t>(ids, {8}));
  }
}

TEST_F(Learning, EveryOptimizerLearnsARule) {
  recipe_["train"].update(Json{{"steps", 60}, {"checkpoint_every", 0}, {"batch_size", 8}});
  recipe_["data"].erase("valid");
  for (const OptimizerEntry& o : optimizers()) {
    const std::string lr = o.name == "lion" ? "0.003" : "0.02";
    const double loss =
        last_loss(R"({"optim": {"name": ")" + std::string(o.name) + R"(", "lr": )" + lr + "}}");
    EXPECT_LT(loss, 1.9) << o.name;
  }
}

class GoldenSteps : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenSteps, FollowPyTorch) {
  const TempFolder folder;
  const fs::path golden = tests_folder() / "model" / "goldens" / GetParam();
  const Json steps = read_json_file(golden / "steps.json");
  Json tree;
  tree["model"]["from"] = (golden / "model").string();
  tree["data"] = {
      {"train", write_shard(folder / "train", {steps["tokens"].get<std::vector<int32_t>>()}, 29)},
      {"order", "sequential"}};
  tree["train"] = {{"steps", steps["steps"].size()},
                   {"batch_size", steps["batch_size"]},
                   {"seq_len", steps["seq_len"]},
                   {"precision", "fp32"},
                   {"out", (folder / "out").string()},
                   {"eval_every", 0},
                   {"checkpoint_every", 0}};
  tree["optim"] = steps["optim"];
  tree["schedule"] = steps["schedule"];
  for (const char* device : {"cpu", "ref"}) {
    tree["train"]["device"] = device;
    size_t seen = 0;
    TrainCallbacks callbacks;
    callbacks.on_step = [&](const StepReport& r) {
      const Json& want = steps["steps"][seen++];
      EXPECT_EQ(r.step, static_cast<int64_t>(seen));
      EXPECT_NEAR(r.loss, want["loss"].get<double>(), 2e-5) << device << " step " << seen;
      EXPECT_NEAR(r.lr, want["lr"].get<double>(), 1e-12) << device << " step " << seen;
      EXPECT_NEAR(r.grad_norm / want["grad_norm"].get<double>(), 1, 1e-4)
          << device << " step " << seen;
    };
    TrainLoop(read_recipe(tree), callbacks).run(TrainLoop::Start::kFresh);
    EXPECT_EQ(seen, 10u);
    fs::remove_all(folder / "out");
  }
}

INSTANTIATE_TEST_SUITE_P(, GoldenSteps, ::testing::Values("llama", "gpt2"),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace lathe::testing
