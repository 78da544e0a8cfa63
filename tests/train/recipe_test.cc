#include "lathe/train/recipe.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lathe/config/recipe_file.h"
#include "lathe/model/folder.h"
#include "paths.h"
#include "train/run.h"

namespace lathe::testing {
namespace {

class Recipes : public Run {
 protected:
  std::string refusal(const char* patch) const {
    return error_text([&] { recipe(patch); });
  }
  void expect_says(const char* patch, const std::string& part) const {
    EXPECT_NE(refusal(patch).find(part), std::string::npos) << patch << "\n" << refusal(patch);
  }
};

TEST_F(Recipes, OfTheProjectCanBeRead) {
  int read = 0;
  for (const auto& file : fs::directory_iterator(tests_folder() / ".." / "recipes")) {
    const Json tree = load_recipe(file.path());
    if (tree["model"].contains("from")) continue;  // a folder that a run has to make first
    EXPECT_EQ(error_text([&] { read_recipe(tree); }), "no error") << file.path();
    ++read;
  }
  EXPECT_GE(read, 4);
}

TEST_F(Recipes, AreRefusedWithTheFix) {
  EXPECT_EQ(refusal("{}"), "no error");
  EXPECT_EQ(refusal(R"({"trian": {}})"),
            "[recipe] unknown section [trian]. Did you mean 'train'? Sections: model, data, train, "
            "objective, adapter, reward, sandbox, optim, schedule, eval");
  EXPECT_EQ(refusal(R"({"train": 3})"),
            "[recipe] 'train' is a section: write [train] and its keys below");
  EXPECT_EQ(refusal(R"({"train": {"seq_len": 33}})"),
            "[train.seq_len] next_token makes rows of up to 33 tokens, more than "
            "model.max_position_embeddings = 32; raise that or shorten seq_len");
  EXPECT_EQ(
      refusal(R"({"train": {"device": "ref", "precision": "bf16"}})"),
      "[train.precision] the ref device computes in double precision; write precision = \"fp32\"");
  EXPECT_EQ(refusal(R"({"train": {"sample_every": 5}})"),
            "[train.sample_every] sample texts need a tokenizer; set data.tokenizer, or "
            "sample_every = 0");
  EXPECT_EQ(refusal(R"({"model": {"from": 3}})"), "[model.from] expected a folder, got 3");
}

TEST_F(Recipes, NameTheKeyAndTheNearestKnownOne) {
  expect_says(R"({"train": {"step": 5}})", "steps");
  expect_says(R"({"train": {"batchsize": 5}})", "batch_size");
  expect_says(R"({"data": {"trian": "x"}})", "train");
  expect_says(R"({"data": {"train": null}})", "train");
  expect_says(R"({"data": {"order": "random"}})", "'shuffle'");
  expect_says(R"({"optim": {"name": "adam"}})", "'adamw'");
  expect_says(R"({"optim": {"learning_rate": 1}})", "learning_rate");
  expect_says(R"({"schedule": {"name": "cosin"}})", "'cosine'");
  expect_says(R"({"train": {"precision": "fp16"}})", "'bf16'");
  expect_says(R"({"train": {"steps": 2.5}})", "integer");
  expect_says(R"({"train": {"steps": "many"}})", "integer");
  expect_says(R"({"train": {"steps": 0}})", "at least 1");
  expect_says(R"({"train": {"batch_size": 0}})", "between 1 and 1048576");
  expect_says(R"({"train": {"batch_size": 4611686018427387904}})", "batch_size");
  expect_says(R"({"train": {"seq_len": 9223372036854775807}})", "max_position_embeddings");
  expect_says(R"({"train": {"ema_decay": 1.0}})", "ema_decay");
  expect_says(R"({"optim": {"lr": -1}})", "lr");
}

TEST_F(Recipes, AFolderDecidesItsModel) {
  const std::string path = (folder_ / "model").string();
  fs::create_directories(path);
  Transformer model(recipe().model);
  model.allocate(DType::kF32);
  model.initialize(Rng(1));
  save_model(model, path, {});
  Json tree = recipe_;
  tree["model"] = Json{{"from", path}};
  EXPECT_EQ(read_recipe(tree).model.hidden_size, 16);
  EXPECT_EQ(*read_recipe(tree).from, path);
  tree["model"]["attention_dropout"] = 0.25;
  tree["model"]["hidden_dropout"] = 0;
  EXPECT_EQ(read_recipe(tree).model.attention_dropout, 0.25);
  tree["model"]["hidden_dropout"] = 1.0;
  EXPECT_EQ(
      error_text([&] { read_recipe(tree); }),
      "[model] hidden_dropout is 1.0 (a decimal number), expected a number, between 0 and 0.99. "
      "Write hidden_dropout = 0.0");
  tree["model"].erase("hidden_dropout");
  tree["model"]["hidden_size"] = 32;
  EXPECT_EQ(error_text([&] { read_recipe(tree); }),
            "[model] 'hidden_size' cannot be set together with from = \"" + path +
                "\": the folder's config.json decides. Keys that may be given: from, "
                "quantization, double_quant, attention_dropout, hidden_dropout");
  tree["model"] = Json{{"from", (folder_ / "nowhere").string()}};
  EXPECT_NE(error_text([&] { read_recipe(tree); }).find("nowhere"), std::string::npos);
}

TEST_F(Recipes, WrittenAndReadAreTheSame) {
  const Json written = write_recipe(recipe(R"({"optim": {"name": "muon"}, "train": {"seed": 9}})"));
  EXPECT_EQ(write_recipe(read_recipe(written)), written);
  EXPECT_EQ(written["train"]["seed"], 9);
}

TEST_F(Recipes, OverridesAreKeys) {
  const std::string file = folder_.write("r.json", recipe_.dump()).string();
  const auto with = [&](std::vector<std::string> overrides) {
    return read_recipe(file, overrides);
  };
  const Recipe r = with({"train.steps=9", "model.norm.kind=layer"});
  EXPECT_EQ(r.train.steps, 9);
  EXPECT_EQ(r.model.norm.kind, "layer");
  // One of two that set the same takes the place of what the file says.
  EXPECT_EQ(with({"train.budget=2 epochs"}).train.budget, "2 epochs");
  EXPECT_EQ(with({"schedule.warmup_ratio=0.5"}).schedule.warmup_ratio, 0.5);
  EXPECT_EQ(with({"train.eval_batches=3"}).train.eval_batches, 3);
  EXPECT_EQ(error_text([&] {
              with({"train.budget=2 epochs", "train.steps=3"});
            }),
            "[train] steps and budget are both given, but they set the same thing; leave one of "
            "them out");
  recipe_["train"].erase("steps");
  recipe_["train"]["budget"] = "2 epochs";
  folder_.write("r.json", recipe_.dump());
  const Recipe steps = with({"train.steps=5"});
  EXPECT_EQ(steps.train.steps, 5);
  EXPECT_FALSE(steps.train.budget);
}

TEST_F(Recipes, ShardsHavePrefixesAndSetsNamesOfTheirOwn) {
  const auto error = [&](const char* key, std::vector<std::string> shards) {
    Json tree = recipe_;
    tree["data"][key] = shards;
    return error_text([&] { read_recipe(tree); });
  };
  EXPECT_NE(error("train", {""}).find("[data.train] '' names no shard"), std::string::npos);
  EXPECT_NE(error("train", {"a", ":0.5"}).find("':0.5' names no shard"), std::string::npos);
  EXPECT_NE(error("valid", {"a="}).find("[data.valid] 'a=' names no shard"), std::string::npos);
  for (const std::vector<std::string>& same :
       {std::vector<std::string>{"x=a", "x=b"}, {"here/v", "there/v"}})
    EXPECT_NE(error("valid", same).find("two sets are named"), std::string::npos);
  EXPECT_EQ(error("valid", {"v", "w=there/v", "z=a=b/v"}),
            "no error");  // a prefix with a "=" of its own
}

TEST_F(Recipes, SayInWhatAndHowTheyCompute) {
  EXPECT_EQ(recipe().compute_dtype(), DType::kF32);
  EXPECT_EQ(recipe(R"({"train": {"precision": "bf16"}})").compute_dtype(), DType::kBF16);
  const Recipe exact = recipe(R"({"train": {"device": "ref"}})");
  EXPECT_EQ(exact.compute_dtype(), DType::kF64);
  EXPECT_EQ(exact.compute_device(), Device::kRef);
  EXPECT_EQ(recipe(R"({"train": {"recompute": "full"}})").recompute(), Recompute::kFull);
  EXPECT_EQ(recipe(R"({"train": {"recompute": "none"}})").recompute(), Recompute::kNone);
  EXPECT_EQ(recipe().recompute(), Recompute::kSelective);
}

// Those that go on from a model need one that is there; the rest of the file is read as it stands.
TEST(RecipeFiles, OfTheProjectAreRead) {
  namespace fs = std::filesystem;
  const fs::path root = tests_folder().parent_path();
  int files = 0;
  for (const char* folder : {"recipes", "examples"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (entry.path().extension() != ".toml") continue;
      nlohmann::ordered_json tree = load_recipe(entry.path());
      if (tree["model"].contains("from")) {
        tree["model"]["from"] = root / "tests" / "model" / "goldens" / "llama" / "model";
        tree["train"]["seq_len"] = 8;
      }
      EXPECT_EQ(error_text([&] { read_recipe(tree); }), "no error") << entry.path();
      ++files;
    }
  EXPECT_GE(files, 10);
}

}  // namespace
}  // namespace lathe::testing
