// What goes wrong in a model's life: a non-zero exit, a message that names the thing, nothing lost.

#include "life/program.h"

namespace lathe::testing {
namespace {

TEST_F(Life, FromTextToText) {
  prepare();
  expect_works({"train", at("run.toml")});
  const Finished f = lathe({"generate", at("out/model"), "--prompt", "the sea", "--max-new-tokens",
                            "5", "--temperature", "0", "--json"});
  ASSERT_EQ(f.code, 0) << f.err;
  EXPECT_TRUE(nlohmann::json::parse(f.out).is_object()) << f.out;
  const Finished again = lathe({"train", at("run.toml")});
  expect_error(again, 2, {"already holds a run", "--resume"});
}

// generation_config.json gives the defaults, each option of the line wins over its key.
TEST_F(Life, TheModelsOwnWayOfGenerating) {
  prepare("steps = 1\n");
  expect_works({"train", at("run.toml")});
  const auto ids = [&](const char* file, std::vector<std::string> options) {
    folder_.write("out/model/generation_config.json", file);
    options.insert(options.begin(), {"generate", at("out/model"), "--input", at("in.json")});
    options.push_back("--json");
    const Finished f = lathe(options);
    EXPECT_EQ(f.code, 0) << f.err;
    return f.code == 0 ? nlohmann::json::parse(f.out)["output_ids"][0] : nlohmann::json();
  };
  folder_.write("in.json", R"({"input_ids": [[1, 2, 3]]})");
  const auto greedy = ids("{}", {"--temperature", "0", "--max-new-tokens", "5", "--ignore-eos"});
  ASSERT_EQ(greedy.size(), 5u);
  EXPECT_EQ(ids(R"({"do_sample": false, "max_new_tokens": 5})", {"--ignore-eos"}), greedy);
  const char* warm = R"({"temperature": 5.0, "max_new_tokens": 5, "seed": 1})";
  const auto drawn = ids(warm, {"--ignore-eos"});
  EXPECT_NE(drawn, greedy);
  EXPECT_EQ(ids(warm, {"--ignore-eos", "--temperature", "0"}), greedy);
  EXPECT_EQ(ids(warm, {"--ignore-eos", "--temperature", "1", "--top-k", "1"}), greedy)
      << "also with the value of the program's own default";
  const std::string ends =
      R"({"do_sample": false, "eos_token_id": [303, )" + greedy[0].dump() + "]}";
  EXPECT_EQ(ids(ends.c_str(), {}), nlohmann::json::array({greedy[0]}));
  for (const char* damaged : {"{\"top_p\": 1.5}", "{\"top_p\"", "[]"}) {
    folder_.write("out/model/generation_config.json", damaged);
    const Finished f = lathe({"generate", at("out/model"), "--input", at("in.json")});
    EXPECT_NE(f.code, 0);
    EXPECT_NE(f.err.find("out/model/generation_config.json"), std::string::npos) << f.err;
  }
}

TEST_F(Life, AnEmptyCorpus) {
  folder_.write("empty.txt", "");
  const Finished tokenizer =
      lathe({"tokenizer", "train", at("empty.txt"), "--vocab-size", "300", "--out", at("tok")});
  EXPECT_NE(tokenizer.code, 0);
  EXPECT_NE(tokenizer.err.find("the corpus is empty"), std::string::npos) << tokenizer.err;
  EXPECT_FALSE(fs::exists(at("tok")));
  prepare();
  const Finished shard =
      lathe({"shard", at("empty.txt"), "--tokenizer", at("tok"), "--out", at("none")});
  EXPECT_NE(shard.code, 0);
  EXPECT_NE(shard.err.find("empty.txt"), std::string::npos) << shard.err;
  EXPECT_FALSE(fs::exists(at("none.bin")));
}

TEST_F(Life, AFileThatCannotBeRead) {
  prepare();
  const auto before = contents(folder_ / "tok");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"tokenizer", "train", at("gone.txt"), "--vocab-size", "300",
                                 "--out", at("tok"), "--overwrite"},
        {"shard", at("gone.txt"), "--tokenizer", at("tok"), "--out", at("data")},
        {"tokenizer", "encode", at("tok"), "--input", at("gone.txt"), "--out", at("ids.json")},
        {"train", at("gone.txt")},
        {"generate", at("gone.txt"), "--prompt", "x"},
        {"logits", at("gone.txt"), "--input", at("gone.txt"), "--out", at("o.safetensors")}}) {
    const Finished f = lathe(arguments);
    EXPECT_NE(f.code, 0) << arguments[0];
    EXPECT_NE(f.err.find("gone.txt"), std::string::npos) << arguments[0] << "\n" << f.err;
    EXPECT_EQ(f.out, "");
  }
  EXPECT_EQ(contents(folder_ / "tok"), before);
  // A folder where a file is expected.
  fs::create_directories(at("folder.toml"));
  expect_error(lathe({"train", at("folder.toml")}), 1, {"folder.toml"});
}

TEST_F(Life, TextThatIsNotUtf8) {
  prepare();
  folder_.write("broken.jsonl", "{\"text\": \"fine\"}\n{\"text\": \"\xC3(\"}\n");
  const auto data = content_of(at("data.bin"));
  const Finished f =
      lathe({"shard", at("broken.jsonl"), "--tokenizer", at("tok"), "--out", at("data")});
  EXPECT_NE(f.code, 0);
  EXPECT_NE(f.err.find("broken.jsonl"), std::string::npos) << f.err;
  EXPECT_NE(f.err.find("UTF-8"), std::string::npos) << f.err;
  EXPECT_EQ(content_of(at("data.bin")), data);
}

TEST_F(Life, ATokenizerThatDoesNotFitTheModel) {
  prepare();
  const Finished f = lathe({"train", at("run.toml"), "--model.vocab_size=200"});
  expect_error(f, 1, {"[data.tokenizer]", "model.vocab_size is 200", "set that to at least"});
  EXPECT_FALSE(fs::exists(at("out")));
  // Ids that the model does not have, without a tokenizer to compare with.
  folder_.write("bare.toml",
                "[model]\nvocab_size = 100\nhidden_size = 8\nnum_hidden_layers = 1\n"
                "num_attention_heads = 2\n[data]\ntrain = \"" +
                    at("data") + "\"\n[train]\nsteps = 2\nseq_len = 16\nout = \"" + at("bare") +
                    "\"\n");
  expect_error(lathe({"train", at("bare.toml")}), 1, {at("data"), "100"});
}

TEST_F(Life, IdsOutsideTheVocabulary) {
  prepare("steps = 1\n");
  expect_works({"train", at("run.toml")});
  folder_.write("in.json", R"({"input_ids": [[1, 2, 304]]})");
  expect_error(lathe({"logits", at("out/model"), "--input", at("in.json"), "--out", at("o")}), 1,
               {"304"});
  EXPECT_FALSE(fs::exists(at("o")));
  expect_error(lathe({"generate", at("out/model"), "--input", at("in.json")}), 1, {"304"});
  folder_.write("in.json", R"({"input_ids": [[1, 2, -3]]})");
  expect_error(lathe({"logits", at("out/model"), "--input", at("in.json"), "--out", at("o")}), 1,
               {"-3"});
}

TEST_F(Life, ARecipeThatCannotBe) {
  prepare();
  expect_error(lathe({"train", at("run.toml"), "--train.stpes=3"}), 2, {"stpes", "steps"});
  expect_error(lathe({"train", at("run.toml"), "--train.steps=many"}), 2, {"steps", "integer"});
  expect_error(lathe({"train", at("run.toml"), "--model.num_attention_heads=3"}), 2,
               {"num_attention_heads", "32", "head_dim"});
  folder_.write("broken.toml", "[model\nvocab_size = 3\n");
  expect_error(lathe({"train", at("broken.toml")}), 2, {"broken.toml", "1"});
  EXPECT_FALSE(fs::exists(at("out")));
}

TEST_F(Life, ALossThatIsNotFinite) {
  prepare();
  const Finished f = lathe({"train", at("run.toml"), "--optim.lr=1e30", "--optim.grad_clip=0",
                            "--train.checkpoint_every=1"});
  expect_error(f, 1, {"[train] step", "lower optim.lr", "--resume --branch"});
  // The weights that failed stay to be looked at.
  EXPECT_TRUE(fs::exists(at("out/checkpoints/aside-step-00000001/model.safetensors")));
  EXPECT_FALSE(fs::exists(at("out/model")));
  // What it advises works.
  EXPECT_EQ(lathe({"train", at("run.toml"), "--optim.lr=1e-3", "--resume", "--branch"}).code, 0);
  EXPECT_TRUE(fs::exists(at("out/model")));
}

// Writing fails half-way: the message names the file, and what was there before is whole.
TEST_F(Life, AFullDisk) {
#ifdef __clang__
  GTEST_SKIP() << "the limit on the size of files that stands for a full disk also stops LLVM's "
                  "OpenMP library, which "
                  "registers itself in shared memory";
#endif
  prepare();
  const auto tokenizer = contents(folder_ / "tok");
  const std::string shard = content_of(at("data.bin")), index = content_of(at("data.idx"));
  const auto fails = [&](const std::vector<std::string>& arguments, rlim_t bytes) {
    const Finished f = lathe(arguments, {.largest_file = bytes});
    EXPECT_EQ(f.code, 1) << f.err;
    EXPECT_NE(f.err.find(folder_.path().string()), std::string::npos) << f.err;
    EXPECT_NE(f.err.find("File too large"), std::string::npos) << f.err;
  };
  fails({"tokenizer", "train", at("text.txt"), "--vocab-size", "400", "--out", at("tok"),
         "--overwrite"},
        1000);
  EXPECT_EQ(contents(folder_ / "tok"), tokenizer);
  fails({"shard", at("text.txt"), "--tokenizer", at("tok"), "--out", at("data")}, 1000);
  EXPECT_EQ(content_of(at("data.bin")), shard);
  EXPECT_EQ(content_of(at("data.idx")), index);
  expect_works({"train", at("run.toml")});
  const auto run = contents(folder_ / "out");
  fails({"export", at("out/model"), "--out", at("exported")}, 10000);
  EXPECT_FALSE(fs::exists(at("exported")));
  folder_.write("in.json", R"({"input_ids": [[1, 2, 3]]})");
  fails({"logits", at("out/model"), "--input", at("in.json"), "--out", at("logits.st")}, 1000);
  EXPECT_FALSE(fs::exists(at("logits.st")));
  // A run whose checkpoint cannot be written stops, and goes on to the same end later.
  write_recipe("cut.toml", "cut", "steps = 6\ncheckpoint_every = 2\n");
  fails({"train", at("cut.toml")}, 30000);
  expect_works({"train", at("cut.toml"), "--resume"});
  EXPECT_EQ(content_of(at("cut/model/model.safetensors")),
            content_of(at("out/model/model.safetensors")));
  EXPECT_EQ(contents(folder_ / "out"), run);
}

TEST_F(Life, AnInterruptedRunGoesOn) {
  prepare("steps = 100000\ncheckpoint_every = 0\n");
  Program running(folder_.path(), {"train", at("run.toml")});
  while (running.running() && content_of(at("out/metrics.jsonl")).empty()) ::usleep(1000);
  running.interrupt();
  expect_error(running.wait(), 130, {"stopping and saving", "stopped after step", "--resume"});
  size_t checkpoints = 0;
  for (const auto& e : fs::directory_iterator(at("out/checkpoints")))
    checkpoints += e.is_directory();
  EXPECT_EQ(checkpoints, 1u);
}

TEST_F(Life, DamagedCheckpoints) {
  prepare("steps = 6\ncheckpoint_every = 2\nkeep_last = 3\n");
  expect_works({"train", at("run.toml")});
  const std::string model = content_of(at("out/model/model.safetensors"));
  const auto newest = at("out/checkpoints/step-00000006/model.safetensors");
  fs::resize_file(newest, fs::file_size(newest) / 2);
  const Finished f = lathe({"train", at("run.toml"), "--resume"});
  expect_error(f, 0, {"step-00000006 cannot be used", "resumed from step 4"});
  EXPECT_EQ(content_of(at("out/model/model.safetensors")), model);
  for (const char* step : {"2", "4", "6"})
    folder_.write(std::string("out/checkpoints/step-0000000") + step + "/state.json", "{}");
  expect_error(lathe({"train", at("run.toml"), "--resume"}), 1,
               {"no checkpoint here is intact", "step-00000002", "step-00000006", "state.json"});
  EXPECT_EQ(content_of(at("out/model/model.safetensors")), model);
}

}  // namespace
}  // namespace lathe::testing
