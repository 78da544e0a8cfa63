// Every kind of tokenizer from training to its files and back: the same ids wherever it went.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "io/temp_folder.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/frame/program.h"
#include "lathe/text/tokenizer.h"

namespace lathe {
namespace {

constexpr const char* kText =
    "The quick brown fox jumps over the lazy dog.\nDon't stop; it's 3.14 and 2048!\n"
    "Über Größe und Maße: ﬁne, ½ of Ａ.\n你好，世界。 The fox and the dog, the dog and the fox.\n";

struct Result {
  int code;
  std::string out, err;
};

Result run(const std::vector<std::string>& arguments) {
  const std::vector<Command> catalogue = {tokenizer_command()};
  std::ostringstream out, err;
  const int code = run_program({catalogue}, arguments, {out, err, {{}, &err, 80}});
  return {code, out.str(), err.str()};
}

class TokenizerKinds : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  // The folder of a tokenizer that was trained with these options.
  std::string trained(const std::string& name, std::vector<std::string> options) {
    folder_.write("text.txt", kText);
    std::vector<std::string> line = {"tokenizer", "train",    path("text.txt"),
                                     "--out",     path(name), "--json"};
    line.insert(line.end(), options.begin(), options.end());
    const Result r = run(line);
    EXPECT_EQ(r.code, 0) << name << ": " << r.err;
    return path(name);
  }
  std::string converted(const std::string& from, const std::string& to) {
    const Result r = run({"tokenizer", "convert", from, "--to", to, "--out", path("to." + to)});
    return r.code == 0 ? path("to." + to) : r.err;
  }
  static std::vector<int32_t> ids(const std::string& tokenizer, std::string_view text = kText) {
    return load_tokenizer(tokenizer).encode(text);
  }
  TempFolder folder_;
};

const std::vector<std::string> kAll = {"--character-coverage", "1", "--vocab-size"};

std::vector<std::string> options(std::vector<std::string> more, const char* size) {
  more.insert(more.end(), kAll.begin(), kAll.end());
  more.emplace_back(size);
  return more;
}

TEST_F(TokenizerKinds, TheFileOfEachGivesTheSameTokenizerAgain) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> kinds = {
      {"bytes", {"--vocab-size", "300"}},
      {"bpe", options({"--model", "bpe"}, "120")},
      {"fallback", {"--model", "bpe", "--byte-fallback", "--vocab-size", "330"}},
      {"unigram", options({"--model", "unigram", "--normalizer", "nfkc"}, "110")},
      {"wordpiece", {"--model", "wordpiece", "--vocab-size", "120"}},
      {"char", {"--model", "char", "--vocab-size", "120"}},
      {"byte", {"--model", "byte"}},
      {"digits", options({"--model", "bpe", "--digits", "single"}, "120")}};
  for (const auto& [name, line] : kinds) {
    const std::string folder = trained(name, line);
    const Tokenizer tokenizer = load_tokenizer(folder);
    const std::vector<int32_t> want = tokenizer.encode(kText);
    EXPECT_GT(want.size(), 20u) << name;
    EXPECT_EQ(Tokenizer::from_json(tokenizer.to_json(), name).encode(kText), want) << name;
    std::string streamed;
    StreamDecoder stream(tokenizer);
    for (int32_t id : want) streamed += stream.push(id);
    streamed += stream.finish();
    EXPECT_EQ(streamed, tokenizer.decode(want)) << name;
  }
  for (const char* name : {"bytes", "char", "byte"}) {
    const Tokenizer tokenizer = load_tokenizer(path(name));
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(kText)), kText) << name;
  }
  EXPECT_EQ(ids(path("byte"), "aé"), (std::vector<int32_t>{'a', 0xC3, 0xA9}));
  EXPECT_EQ(ids(path("char"), "the").size(), 3u);
  EXPECT_EQ(ids((folder_ / "wordpiece" / "vocab.txt").string()), ids(path("wordpiece")));
}

TEST_F(TokenizerKinds, SentencePieceModelsGoToOtherFilesAndBack) {
  for (const char* model : {"unigram", "bpe"}) {
    const std::string folder = trained(
        model, options({"--model", model, "--sentencepiece", "--normalizer", "nmt_nfkc"}, "120"));
    const std::string file = folder + "/tokenizer.model";
    const std::vector<int32_t> want = ids(file);
    EXPECT_EQ(ids(folder + "/tokenizer.json"), want);
    EXPECT_EQ(ids(converted(file, "json")), want);
    EXPECT_EQ(ids(converted(file, "sentencepiece")), want);
    EXPECT_EQ(ids(converted(folder + "/tokenizer.json", "sentencepiece")), want);
    if (std::string_view(model) == "unigram") {
      EXPECT_EQ(ids(converted(file, "gguf")), want);
    }
  }
  const std::string bpe = converted(path("bpe") + "/tokenizer.model", "gguf");
  EXPECT_NE(bpe.find("cannot hold this tokenizer"), std::string::npos) << bpe;
  const std::string bytes = converted(trained("bytes", {"--vocab-size", "300"}), "sentencepiece");
  EXPECT_NE(bytes.find("its model is BPE on bytes"), std::string::npos) << bytes;
}

TEST_F(TokenizerKinds, ByteLevelTokenizersGoToRanksAndGguf) {
  const std::string folder = trained("bytes", {"--vocab-size", "300"});
  EXPECT_EQ(ids(converted(folder, "gguf")), ids(folder));
  const std::string ranks = converted(folder, "tiktoken");
  EXPECT_EQ(load_tokenizer(ranks, Pattern::kGpt2).encode(kText), ids(folder));
  const std::string word_piece = converted(
      trained("wp", {"--model", "wordpiece", "--normalizer", "none", "--pre", "none"}), "tiktoken");
  EXPECT_NE(word_piece.find("cannot hold this tokenizer"), std::string::npos) << word_piece;
}

// What a file of ranks cannot hold stands beside it.
TEST_F(TokenizerKinds, AddedTokensStandBesideAFileOfRanks) {
  const std::string folder = trained("bytes", {"--vocab-size", "300"});
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(load_tokenizer(folder).to_json());
  json["added_tokens"].push_back(
      {{"id", 300}, {"content", "<go>"}, {"special", true}, {"normalized", false}});
  folder_.write("added.json", json.dump());
  const std::string ranks = converted(path("added.json"), "tiktoken");
  const std::vector<int32_t> want = ids(path("added.json"), "dog<go>dog");
  EXPECT_EQ(std::ranges::count(want, 300), 1);
  EXPECT_EQ(load_tokenizer(ranks, Pattern::kGpt2).encode("dog<go>dog"), want);
}

TEST_F(TokenizerKinds, InspectShowsWhatAModelChoosesBy) {
  folder_.write("tokenizer.json", R"({"model": {"type": "Unigram", "unk_id": 0, "vocab":
[["<unk>", 0], ["ab", -2], ["a", -1.5], ["b", -1], ["中", -3], ["中文", -4]]}})");
  const Result r = run({"tokenizer", "inspect", path("tokenizer.json"), "--text", "ab中文b"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.out.find("  a b\n"
                       "  ┗━┛      -2.000    62.25 %  ab\n"
                       "  ╵        -1.500    37.75 %  a\n"
                       "    ╵      -1.000    37.75 %  b\n"),
            std::string::npos)
      << r.out;
  EXPECT_NE(r.out.find("  中文\n"
                       "  ┗━┛      -4.000   100.00 %  中文\n"),
            std::string::npos)
      << r.out;
  EXPECT_NE(r.out.find("-14.000     0.00 %  文  (no token)\n"), std::string::npos) << r.out;
  const Result json = run(
      {"tokenizer", "inspect", path("tokenizer.json"), "--text", "ab", "--nbest", "2", "--json"});
  ASSERT_EQ(json.code, 0) << json.err;
  const auto facts = nlohmann::json::parse(json.out);
  EXPECT_EQ(facts["tokens"][0]["score"], -2.0);
  EXPECT_EQ(facts["segmentations"].size(), 2u);
  EXPECT_EQ(facts["segmentations"][1]["pieces"], (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(facts["lattice"][0]["pieces"].size(), 3u);

  const std::string bytes = trained("bytes", {"--vocab-size", "300"});
  const Result merges = run({"tokenizer", "inspect", bytes, "--text", "the", "--json"});
  EXPECT_TRUE(nlohmann::json::parse(merges.out)["tokens"][0].contains("merge")) << merges.out;
  EXPECT_EQ(run({"tokenizer", "inspect", bytes, "--text", "the", "--nbest", "2"}).code, 2);
  EXPECT_EQ(run({"tokenizer", "inspect", bytes, "--nbest", "2"}).code, 2);
  const Result self = run({"tokenizer", "inspect", bytes, "--self-test"});
  EXPECT_NE(self.err.find("leave --self-test out"), std::string::npos) << self.err;
}

TEST_F(TokenizerKinds, ReservedTokensBecomeThoseOfAChatTemplate) {
  const std::string folder =
      trained("bytes", {"--vocab-size", "300", "--reserve", "2", "--special-token", "<|end|>"});
  const Tokenizer old = load_tokenizer(folder);
  EXPECT_EQ(old.vocab_size(), 300);
  folder_.write("chat.jinja", "{{ '<|user|>' }}<think>{{ x }}</think><|end|>");
  const Result r = run({"tokenizer", "extend", folder, "--chat-template", path("chat.jinja"),
                        "--special-token", "<|tool|>", "--out", path("chat"), "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto facts = nlohmann::json::parse(r.out);
  EXPECT_EQ(facts["took_places"], 2);
  EXPECT_EQ(facts["vocab_size"], 302);
  EXPECT_EQ(facts["present"], std::vector<std::string>{"<|end|>"});
  const Tokenizer chat = load_tokenizer(path("chat"));
  EXPECT_EQ(chat.id_of("<|tool|>"), old.id_of("<|reserved_special_token_0|>"));
  EXPECT_EQ(chat.encode(kText), old.encode(kText));
  EXPECT_FALSE(chat.is_special(chat.id_of("</think>").value()));
  EXPECT_NE(content_of(path("chat/tokenizer_config.json")).find("chat_template"),
            std::string::npos);

  folder_.write("bytes.jinja", "<|user|>\xFF");
  const Result bad = run({"tokenizer", "extend", folder, "--chat-template", path("bytes.jinja"),
                          "--out", path("none")});
  EXPECT_NE(bad.err.find("not valid UTF-8"), std::string::npos) << bad.err;

  EXPECT_EQ(run({"tokenizer", "extend", folder, "--out", path("none")}).code, 2);
  EXPECT_EQ(run({"tokenizer", "extend", folder, "--add", "3", "--out", path("none")}).code, 2);
}

TEST_F(TokenizerKinds, SaysWhichOptionsDoNotGoTogether) {
  folder_.write("text.txt", kText);
  const auto error = [&](std::vector<std::string> more) {
    std::vector<std::string> line = {"tokenizer", "train", path("text.txt"), "--out", path("x")};
    line.insert(line.end(), more.begin(), more.end());
    const Result r = run(line);
    EXPECT_NE(r.code, 0);
    return r.err;
  };
  const std::vector<std::vector<std::string>> without_meaning = {
      {"--sentencepiece"},
      {"--normalizer", "nfc"},
      {"--model", "wordpiece", "--sentencepiece"},
      {"--model", "wordpiece", "--byte-fallback"},
      {"--model", "unigram", "--pattern", "llama3"},
      {"--model", "unigram", "--min-count", "3"},
      {"--model", "bpe", "--wordpiece-score", "likelihood"},
      {"--model", "char", "--digits", "single"},
      {"--model", "byte", "--special-token", "<x>"},
      {"--model", "byte", "--pre", "metaspace"}};
  for (const auto& line : without_meaning) {
    const std::string message = error(line);
    EXPECT_NE(message.find("means nothing to"), std::string::npos) << message;
  }
  EXPECT_NE(error({"--model", "bpe", "--sentencepiece", "--pre", "bert"}).find("--pre metaspace"),
            std::string::npos);
  EXPECT_NE(error({"--model", "unigram", "--pre", "gpt2"}).find("--pre gpt2 splits text"),
            std::string::npos);
  EXPECT_NE(error({"--model", "bpe", "--normalizer", "nothing"}).find("neither a file of rules"),
            std::string::npos);
  EXPECT_NE(error({"--model", "bpe", "--sentencepiece", "--normalizer", "nfc"})
                .find("has no normaliser 'nfc'"),
            std::string::npos);
}

TEST_F(TokenizerKinds, WeightsSayHowOftenATextCounts) {
  folder_.write("a.txt", std::string(200, 'x') + " xyxy xyxy xyxy\n");
  folder_.write("b.txt", "ababab ababab ababab ababab\n");
  const auto first_merge = [&](const std::string& a, const std::string& b) {
    const Result r = run({"tokenizer", "train", a, b, "--vocab-size", "257", "--out", path("w"),
                          "--overwrite", "--json"});
    EXPECT_EQ(r.code, 0) << r.err;
    return load_tokenizer(path("w")).token_bytes(256);
  };
  EXPECT_EQ(first_merge(path("a.txt"), path("b.txt")), "xx");
  // A billion times as often: counts are 64-bit.
  EXPECT_EQ(first_merge(path("a.txt"), path("b.txt:5000000000")), "ab");
}

}  // namespace
}  // namespace lathe
