// lathe train without training (--show, --check) and lathe data show.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/model/family.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

class TrainCommand : public ::testing::Test {
 protected:
  TrainCommand() {
    TokenShardWriter writer(folder_ / "data", 11);
    for (int d = 0; d < 20; ++d)
      writer.add_document(std::vector<int32_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
    writer.finish();
    folder_.write("run.toml",
                  "[model]\nvocab_size = 11\nhidden_size = 16\nnum_hidden_layers = 1\n"
                  "num_attention_heads = 2\n[data]\ntrain = \"" +
                      at("data") +
                      "\"\n[train]\nsteps = 3\nbatch_size = 2\nseq_len = 8\n"
                      "precision = \"fp32\"\nout = \"" +
                      at("run") + "\"\n");
  }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  CommandResult run(std::vector<std::string> words, const std::vector<std::string>& more = {}) {
    words.insert(words.end(), more.begin(), more.end());
    return run_lathe(words);
  }
  TempFolder folder_;
};

// What is shown is a recipe, in both forms, and so is the recipe.json of a run: to the same bits.
TEST_F(TrainCommand, WhatIsShownIsARecipe) {
  for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{
           {},
           {"--train.eval_batches=2", "--schedule.warmup_ratio=0.5"},
           {"--optim.name=muon", "--model.norm.kind=layer", "--model.position.kind=alibi"},
           {"--train.budget=2 epochs"}}) {
    std::vector<std::string> words = {"train", at("run.toml")};
    for (const std::string& m : more)
      if (m != "--train.steps=null") words.push_back(m);
    if (more.size() == 2 && more[1] == "--train.steps=null") {
      std::string text = content_of(folder_ / "run.toml");
      text.erase(text.find("steps = 3\n"), 10);
      folder_.write("run2.toml", text);
      words[1] = at("run2.toml");
    }
    const CommandResult toml = run(words, {"--show"}), json = run(words, {"--show", "--json"});
    ASSERT_EQ(toml.code, 0) << toml.err;
    EXPECT_EQ(std::count(json.out.begin(), json.out.end(), '\n'), 1);
    for (const char* section : {"[model]", "[model.norm]", "[data]", "[train]", "[objective]",
                                "[optim]", "[optim.muon]", "[schedule]"})
      EXPECT_NE(toml.out.find(section), std::string::npos) << section;
    folder_.write("shown.toml", toml.out);
    folder_.write("shown.json", json.out);
    EXPECT_EQ(run({"train", at("shown.toml"), "--show"}).out, toml.out);
    EXPECT_EQ(run({"train", at("shown.json"), "--show"}).out, toml.out);
    ASSERT_EQ(run(words).code, 0) << run(words).err;
    std::filesystem::rename(at("run"), at("first"));
    ASSERT_EQ(run({"train", at("first/recipe.json")}).code, 0);
    EXPECT_EQ(content_of(at("run/model/model.safetensors")),
              content_of(at("first/model/model.safetensors")));
    // and of one that begins from a folder
    folder_.write("from.toml", "[model]\nfrom = \"" + at("first/model") + "\"\n[data]\ntrain = \"" +
                                   at("data") + "\"\n[train]\nseq_len = 8\n");
    folder_.write("from_shown.toml", run({"train", at("from.toml"), "--show"}).out);
    EXPECT_EQ(run({"train", at("from_shown.toml"), "--show"}).code, 0);
    std::filesystem::remove_all(at("run"));
    std::filesystem::remove_all(at("first"));
  }
}

TEST_F(TrainCommand, CheckingStartsNothing) {
  const CommandResult r = run({"train", at("run.toml"), "--check", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json plan = Json::parse(r.out);
  EXPECT_FALSE(std::filesystem::exists(at("run")));
  EXPECT_EQ(plan.at("steps"), 3);
  EXPECT_FALSE(plan.at("out_is_used"));
  // Weights, gradients and two moments in f32.
  EXPECT_NEAR(plan.at("state_mib").get<double>() * (1 << 20),
              16 * plan.at("parameters").get<double>(), 1);
  EXPECT_NEAR(plan.at("data")[0].at("epochs"), 6.0 / 24, 1e-9);
  EXPECT_GT(plan.at("seconds_per_step"), 0);
  ASSERT_EQ(run({"train", at("run.toml")}).code, 0);
  EXPECT_NE(run({"train", at("run.toml"), "--check"}).out.find("holds a run"), std::string::npos);
  EXPECT_EQ(run({"train", at("run.toml"), "--check", "--model.vocab_size=10"}).code, 1);
  EXPECT_EQ(run({"train", at("run.toml"), "--branch"}).code, 2);
}

TEST_F(TrainCommand, TheLineageNamesABranch) {
  ASSERT_EQ(run({"train", at("run.toml")}).code, 0);
  EXPECT_EQ(run({"lineage", at("run/model")}).out.find("branch"), std::string::npos);
  ASSERT_EQ(run({"train", at("run.toml"), "--resume", "--branch", "--train.steps=5",
                 "--optim.weight_decay=0"})
                .code,
            0);
  for (const char* artefact : {"run/model", "run/checkpoints/step-00000005"}) {
    const std::string out = run({"lineage", at(artefact)}).out;
    EXPECT_NE(out.find("branch after step 3: optim.weight_decay: 0.1, now 0.0"), std::string::npos)
        << out;
    EXPECT_NE(out.find("branch after step 3: train.steps: 3, now 5"), std::string::npos) << out;
  }
}

TEST_F(TrainCommand, DataShowPrintsTheBatch) {
  const CommandResult r = run({"data", "show", at("run.toml"), "--data.order=sequential",
                               "--data.document_mask=true", "--step", "2", "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json batch = Json::parse(r.out);
  // Step 2 begins at token 2 · 8 · 1 = 16, the seventh of the second document.
  EXPECT_EQ(batch.at("rows").size(), 2u);
  const Json& row = batch["rows"][0];
  EXPECT_EQ(row.at("ids").dump(), "[7,8,9,10,1,2,3,4]");
  EXPECT_EQ(row.at("labels").dump(), "[8,9,10,-1,2,3,4,5]");
  EXPECT_EQ(row.at("positions").dump(), "[0,1,2,3,0,1,2,3]");
  EXPECT_EQ(row.at("segments").dump(), "[0,0,0,0,1,1,1,1]");
  EXPECT_EQ(batch.at("labels"), 14);
  const CommandResult people = run({"data", "show", at("run.toml"), "--rows", "1"});
  EXPECT_NE(people.out.find("to be predicted"), std::string::npos) << people.out;
  EXPECT_EQ(run({"data", "show", at("run.toml"), "--micro-batch", "1"}).code, 2);
  const CommandResult ul2 =
      run({"data", "show", at("run.toml"), "--model.model_type=lathe", "--objective.name=ul2",
           "--model.body=encoder_decoder", "--model.vocab_size=20", "--model.pad_token_id=12",
           "--objective.sentinels=6"});
  EXPECT_NE(ul2.out.find("the encoder reads:"), std::string::npos) << ul2.out << ul2.err;
  EXPECT_NE(ul2.out.find("denoiser "), std::string::npos) << ul2.out;
}

}  // namespace
}  // namespace lathe
