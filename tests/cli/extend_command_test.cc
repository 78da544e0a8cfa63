// lathe extend: the folder that it writes, and what a model makes of its new tokens.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/io/manifest.h"
#include "lathe/model/folder.h"
#include "lathe/model/load_model.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/train/bpe_trainer.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kEnglish = "the cat sat on the mat and the dog ate that rat, then the hat";

class ExtendCommand : public ::testing::Test {
 protected:
  // A model of random weights with a tokenizer of 280 tokens, and 8 rows that belong to none.
  void make_model(bool tied) {
    const std::string_view texts[] = {kEnglish};
    const Tokenizer tokenizer =
        train_bpe(texts, {.vocab_size = 280, .special_tokens = {"<|end|>"}}).tokenizer;
    ModelConfig config;
    config.model_type = "llama";
    config.vocab_size = 288;
    config.hidden_size = 8;
    config.num_hidden_layers = 1;
    config.num_attention_heads = 2;
    config.intermediate_size = 12;
    config.max_position_embeddings = 32;
    config.tie_word_embeddings = tied;
    config.eos_token_id = *tokenizer.id_of("<|end|>");
    Transformer model(config);
    model.allocate(DType::kF32);
    model.initialize(Rng(1));
    fs::remove_all(folder_ / "from");
    fs::create_directories(folder_ / "from");
    save_model(model, folder_ / "from", {});
    folder_.write("from/tokenizer.json", tokenizer.to_json());
    folder_.write("from/tokenizer_config.json",
                  R"({"eos_token": "<|end|>", "chat_template": "{{ x }}"})");
  }
  CommandResult extend(std::vector<std::string> more) {
    more.insert(more.begin(), {"extend", path("from"), "--out", path("to"), "--overwrite"});
    return run_lathe(more);
  }
  Json facts(std::vector<std::string> more) {
    more.push_back("--json");
    const CommandResult r = extend(std::move(more));
    EXPECT_EQ(r.code, 0) << r.err;
    return r.code == 0 ? Json::parse(r.out) : Json();
  }
  void expect_refusal(std::vector<std::string> more, const char* part) {
    const CommandResult r = extend(std::move(more));
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(part), std::string::npos) << r.err;
    EXPECT_FALSE(fs::exists(folder_ / "to"));
  }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  std::string tokens(const std::string& text) { return folder_.write("tokens.txt", text).string(); }
  // The rows of the token table or head of a folder.
  std::vector<std::vector<double>> rows(const char* folder, const std::string& parameter) const {
    const auto model = load_model(folder_ / folder, {});
    std::vector<std::vector<double>> all;
    for (const Parameter* p : model->parameters())
      if (p->name == parameter)
        for (int64_t i = 0; i < p->shape[0]; ++i)
          all.push_back(p->value.tensor().narrow(0, i, 1).to_vector());
    return all;
  }

  TempFolder folder_;
};

TEST_F(ExtendCommand, EachNewRowIsTheMeanOfTheRowsOfItsOldPieces) {
  for (const bool tied : {false, true}) {
    make_model(tied);
    const Json got = facts({"--tokens", tokens(" banana\nquix\n")});
    EXPECT_EQ(got["vocab_size"], 280 + got["added"].get<int>());
    EXPECT_EQ(got["added"], 2 + got["steps"].get<int>());
    const Tokenizer old = load_tokenizer(path("from")), now = load_tokenizer(path("to"));
    EXPECT_EQ(now.vocab_size(), got["vocab_size"]);
    EXPECT_EQ(read_model_config(path("to")).vocab_size, now.vocab_size());
    for (const char* parameter : {"embedding.weight", "head.weight"}) {
      const auto before = rows("from", parameter), after = rows("to", parameter);
      EXPECT_EQ(before.empty(), tied && parameter == std::string("head.weight"));
      if (before.empty()) continue;
      ASSERT_EQ(std::ssize(after), now.vocab_size());
      for (size_t id = 0; id < 280; ++id) EXPECT_EQ(after[id], before[id]);
      for (const Json& token : got["tokens"]) {
        const auto id = token["id"].get<int32_t>();
        const auto content = token["content"].get<std::string>();
        EXPECT_EQ(now.encode(content), std::vector<int32_t>{id});
        const std::vector<int32_t> pieces = old.encode(content);
        EXPECT_GT(pieces.size(), 1u);
        for (size_t c = 0; c < 8; ++c) {
          double mean = 0;
          for (const int32_t piece : pieces) mean += before[static_cast<size_t>(piece)][c];
          EXPECT_NEAR(after[static_cast<size_t>(id)][c], mean / static_cast<double>(pieces.size()),
                      1e-7);
        }
      }
    }
    const Json config = Json::parse(content_of(folder_ / "to/tokenizer_config.json"));
    EXPECT_EQ(config["chat_template"], "{{ x }}");
    const Manifest manifest = read_manifest(manifest_path(path("to"), true));
    ASSERT_EQ(manifest.inputs.size(), 2u);
    EXPECT_EQ(manifest.inputs[0].path, path("from"));
    EXPECT_EQ(manifest.inputs[1].path, path("tokens.txt"));
    for (const auto& entry : fs::directory_iterator(folder_.path()))
      EXPECT_EQ(entry.path().string().find(".tokenizer"), std::string::npos) << entry.path();
  }
}

TEST_F(ExtendCommand, LearnsTokensAndSaysWhatTheySave) {
  make_model(false);
  const std::string corpus =
      folder_.write("text.txt", "banana banana bandana bandanas and bananas, banana bread")
          .string();
  const Json got = facts({"--corpus", corpus, "--vocab-size", "290"});
  EXPECT_EQ(got["vocab_size"], 290);
  EXPECT_EQ(got["added"], 10);
  EXPECT_GT(got["after"]["bytes_per_token"], got["before"]["bytes_per_token"]);
  const CommandResult r = extend({"--corpus", corpus, "--vocab-size", "290"});
  EXPECT_NE(r.out.find("290 tokens, 10 of them new"), std::string::npos) << r.out;
  EXPECT_NE(r.out.find("bytes per token: "), std::string::npos) << r.out;
  // The same in two steps.
  ASSERT_EQ(run_lathe({"tokenizer", "extend", path("from"), "--text", corpus, "--add", "10",
                       "--out", path("longer")})
                .code,
            0);
  ASSERT_EQ(
      run_lathe({"convert", path("from"), "--tokenizer", path("longer"), "--out", path("again")})
          .code,
      0);
  for (const char* file : {"tokenizer.json", "model.safetensors", "config.json"})
    EXPECT_EQ(content_of(folder_ / "to" / file), content_of(folder_ / "again" / file)) << file;
}

TEST_F(ExtendCommand, SpecialTokensAreFoundBeforeAnythingElse) {
  make_model(false);
  const Json got = facts({"--tokens", tokens("<|user|>\ntwo words\n"), "--special"});
  EXPECT_EQ(got["added"], 2);
  const Tokenizer now = load_tokenizer(path("to"));
  EXPECT_EQ(now.encode("two words<|user|>"), (std::vector<int32_t>{281, 280}));
  EXPECT_TRUE(now.is_special(280));
  EXPECT_EQ(rows("to", "head.weight").size(), 282u);
}

TEST_F(ExtendCommand, RefusesWhatCannotWork) {
  make_model(false);
  const std::string good = tokens("quix\n");
  const char* one_of = "give one of --tokens FILE";
  expect_refusal({}, one_of);
  expect_refusal({"--tokens", good, "--vocab-size", "300", "--corpus", good}, one_of);
  expect_refusal({"--vocab-size", "300"}, "--vocab-size needs --corpus");
  expect_refusal({"--vocab-size", "280", "--corpus", good}, "280 is not more than the 280 tokens");
  expect_refusal({"--vocab-size", "300", "--corpus", good, "--special"}, "--special says what");
  expect_refusal({"--tokens", tokens("ab\n\nc\n")}, "tokens.txt:2] is empty, which is no token");
  expect_refusal({"--tokens", tokens("a\xFF\n")}, "tokens.txt:1] is not valid UTF-8");
  expect_refusal({"--tokens", tokens("")}, "has no tokens");
  expect_refusal({"--tokens", tokens(" the\n")}, "' the' is a token already");
  expect_refusal({"--tokens", tokens("<|end|>\n"), "--special"}, "'<|end|>' is a token already");
  expect_refusal({"--tokens", tokens("two words\n")}, "would never be found");
  fs::remove(folder_ / "from/tokenizer.json");
  expect_refusal({"--tokens", good}, "tokenizer");
}

}  // namespace
}  // namespace lathe
