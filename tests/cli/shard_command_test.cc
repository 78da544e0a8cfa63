#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "io/packing.h"
#include "io/temp_folder.h"
#include "lathe/base/parallel.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/cli/frame/program.h"
#include "lathe/corpus/token_shard.h"
#include "lathe/io/manifest.h"

namespace lathe {
namespace {

struct Result {
  int code;
  std::string out, err;
};

Result run(const std::vector<std::string>& arguments) {
  const std::vector<Command> catalogue = {shard_command(), lineage_command()};
  std::ostringstream out, err;
  const int code = run_program({catalogue}, arguments, {out, err, {}});
  return {code, out.str(), err.str()};
}

// Letters a-e, space and line break, the merge "ab", and an end token.
constexpr const char* kTokenizer = R"({
  "version": "1.0",
  "added_tokens": [{"id": 8, "content": "<|endoftext|>", "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true}],
  "normalizer": null,
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                    "use_regex": true},
  "post_processor": null,
  "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
              "use_regex": true},
  "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4, "Ġ": 5, "Ċ": 6, "ab": 7},
            "merges": ["a b"]}})";

class ShardCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.write("tok/tokenizer.json", kTokenizer);
    text_ = folder_.write("t.txt", "ab c\n\nde\n").string();
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::vector<int32_t> tokens(const std::string& name) const {
    const TokenShard shard(folder_ / name);
    std::vector<int32_t> out(static_cast<size_t>(shard.num_tokens()));
    shard.read(0, shard.num_tokens(), out, 9);
    return out;
  }
  TempFolder folder_;
  std::string text_;
};

using Ids = std::vector<int32_t>;

TEST_F(ShardCommand, EncodesInOrderWithEndTokens) {
  const Result r = run({"shard", text_, "--tokenizer", path("tok"), "--out", path("new/s"),
                        "--json", "--split", "blank-lines"});
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(tokens("new/s"), (Ids{7, 5, 2, 6, 8, 3, 4, 6, 8}));
  const auto j = nlohmann::json::parse(r.out);
  EXPECT_EQ(j["documents"], 2);
  EXPECT_EQ(j["tokens"], 9);
  EXPECT_EQ(j["bytes"], 8);
  ASSERT_EQ(
      run({"shard", text_, "--tokenizer", path("tok"), "--out", path("w"), "--no-append-eod"}).code,
      0);
  EXPECT_EQ(TokenShard(folder_ / "w").num_documents(), 1);
  EXPECT_EQ(tokens("w").back(), 6);
}

TEST_F(ShardCommand, ThePrefixIsTheBeginningOfAFileName) {
  for (const std::string& folder : {path("tok/"), std::string("."), path("tok/..")}) {
    const Result r = run({"shard", text_, "--tokenizer", path("tok"), "--out", folder});
    EXPECT_EQ(r.code, 2) << folder;
    EXPECT_NE(r.err.find("is a folder, expected the prefix of two file names"), std::string::npos)
        << r.err;
  }
  EXPECT_EQ(run({"shard", text_, "--tokenizer", path("tok"), "--out", ""}).code, 2);
  EXPECT_EQ(run({"shard", text_, "--tokenizer", path("tok"), "--out", path("tok/") + "data"}).code,
            0);
}

TEST_F(ShardCommand, SpecialTokensInTheTextAreTextUnlessAskedFor) {
  const auto special = folder_.write("s.txt", "a<|endoftext|>").string();
  EXPECT_EQ(run({"shard", special, "--tokenizer", path("tok"), "--out", path("s")}).code, 1)
      << "'<' is not in this vocabulary";
  ASSERT_EQ(
      run({"shard", special, "--tokenizer", path("tok"), "--out", path("s"), "--parse-special"})
          .code,
      0);
  EXPECT_EQ(tokens("s"), (Ids{0, 8, 8}));
}

TEST_F(ShardCommand, SameBytesWhateverTheThreadsAndBothPartsOfASplit) {
  std::string lines;
  for (int i = 0; i < 2000; ++i)
    lines += "{\"text\": \"" + std::string(1 + static_cast<size_t>(i % 7), 'a') + " b\"}\n";
  const auto corpus = folder_.write("c.jsonl", lines).string();
  const int before = thread_count();
  for (const char* threads : {"1", "2", "3"})
    ASSERT_EQ(run({"shard", corpus, "--tokenizer", path("tok"), "--out", path(threads),
                   "--val-fraction", "0.1", "--threads", threads})
                  .code,
              0);
  set_thread_count(before);
  for (const char* end : {".bin", ".idx", "-valid.bin", "-valid.idx"}) {
    EXPECT_EQ(content_of(path(std::string("1") + end)), content_of(path(std::string("2") + end)));
    EXPECT_EQ(content_of(path(std::string("1") + end)), content_of(path(std::string("3") + end)));
  }
  const int64_t train = TokenShard(folder_ / "1").num_documents();
  const int64_t valid = TokenShard(folder_ / "1-valid").num_documents();
  EXPECT_EQ(train + valid, 2000);
  EXPECT_GT(valid, 140);
  EXPECT_LT(valid, 260);
}

TEST_F(ShardCommand, ErrorsNameTheFixAndLeaveNothing) {
  const auto error = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"shard", "--tokenizer", path("tok"), "--out",
                                          path("o/s")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Result r = run(arguments);
    EXPECT_NE(r.code, 0);
    EXPECT_EQ(r.out, "");
    return r.err;
  };
  const auto empty = folder_.write("empty.txt", "\n").string();
  EXPECT_NE(error({empty}).find("the corpus is empty"), std::string::npos);
  EXPECT_NE(error({path("none.txt")}).find("does not exist"), std::string::npos);
  EXPECT_NE(error({text_, "--eod", "<eot>"}).find("'<eot>' is not a token"), std::string::npos);
  EXPECT_NE(error({text_, "--val-fraction", "0.5"}).find("--split blank-lines"), std::string::npos);
  EXPECT_NE(error({text_, "--val-by-content"}).find("add --val-fraction"), std::string::npos);
  EXPECT_NE(error({text_, "--val-fraction", "1"}).find("at least 0 and below 1"),
            std::string::npos);
  set_interrupt_requested(true);
  EXPECT_EQ(run({"shard", text_, "--tokenizer", path("tok"), "--out", path("o/s")}).code, 130);
  set_interrupt_requested(false);
  EXPECT_EQ(entries_in(folder_ / "o"), 0u);
}

TEST_F(ShardCommand, NoOlderValidationPartBesideNewTrainingData) {
  const auto shard = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"shard", text_, "--tokenizer", path("tok"), "--out", path("s"),
                               "--split", "blank-lines"});
    return run(more);
  };
  std::string many;
  for (int i = 0; i < 50; ++i) many += std::string(1 + static_cast<size_t>(i), 'a') + "\n\n";
  text_ = folder_.write("many.txt", many).string();
  ASSERT_EQ(shard({"--val-fraction", "0.3"}).code, 0);
  ASSERT_TRUE(std::filesystem::exists(path("s-valid.idx")));
  ASSERT_EQ(shard({"--val-fraction", "0.5", "--seed", "2"}).code, 0) << "replaces both";
  const Result all = shard({});
  ASSERT_EQ(all.code, 0);
  EXPECT_NE(all.err.find("s-valid of an earlier split was removed"), std::string::npos) << all.err;
  for (const char* end : {".bin", ".idx", ".manifest.json"})
    EXPECT_FALSE(std::filesystem::exists(path(std::string("s-valid") + end))) << end;
  EXPECT_EQ(TokenShard(folder_ / "s").num_documents(), 50);

  // One that was made by itself stays, with a warning; one of unknown origin is a reason to stop.
  ASSERT_EQ(run({"shard", text_, "--tokenizer", path("tok"), "--out", path("s-valid")}).code, 0);
  const Result beside = shard({});
  EXPECT_EQ(beside.code, 0);
  EXPECT_NE(beside.err.find("s-valid is kept"), std::string::npos) << beside.err;
  EXPECT_TRUE(std::filesystem::exists(path("s-valid.bin")));
  std::filesystem::remove(path("s-valid.manifest.json"));
  const std::string before = content_of(path("s.bin"));
  text_ = folder_.write("other.txt", "ab\n").string();
  const Result unknown = shard({});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_NE(unknown.err.find("s-valid] is a shard without a manifest"), std::string::npos);
  EXPECT_EQ(content_of(path("s.bin")), before);
  std::filesystem::remove(path("s-valid.bin"));
  std::filesystem::remove(path("s-valid.idx"));
  EXPECT_EQ(shard({}).code, 0) << "as advised";
}

TEST_F(ShardCommand, DocumentsInBothPartsAreCountedOrKeptTogether) {
  std::string many;
  for (int i = 0; i < 200; ++i) many += std::string(1 + static_cast<size_t>(i % 40), 'a') + "\n\n";
  const auto file = folder_.write("many.txt", many).string();
  const auto split = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"shard", file, "--tokenizer", path("tok"), "--out", path("s"),
                               "--split", "blank-lines", "--val-fraction", "0.3", "--json"});
    const Result r = run(more);
    EXPECT_EQ(r.code, 0) << r.err;
    return std::pair(nlohmann::json::parse(r.out), r.err);
  };
  const auto by_number = split({});
  EXPECT_GT(by_number.first["valid"]["also_in_training"], 20);
  EXPECT_NE(by_number.second.find("validation documents are also in the training data; "
                                  "--val-by-content"),
            std::string::npos)
      << by_number.second;
  const auto by_content = split({"--val-by-content"});
  EXPECT_EQ(by_content.first["valid"]["also_in_training"], 0);
  EXPECT_EQ(by_content.second.find("--val-by-content"), std::string::npos);
  EXPECT_EQ(by_content.first["valid"]["documents"].get<int>() % 5, 0) << "all five of a text";
  const std::string valid = content_of(path("s-valid.bin"));
  split({"--val-by-content", "--seed", "1"});
  EXPECT_NE(content_of(path("s-valid.bin")), valid);
}

TEST_F(ShardCommand, PackedAndJsonInputGivesTheSameShard) {
  const std::vector<std::string> texts = {"ab c\n", "de\n", "a b"};
  const std::string array = nlohmann::json(texts).dump();
  std::string lines;
  for (const std::string& text : texts) lines += nlohmann::json({{"text", text}}).dump() + "\n";
  for (size_t i = 0; i < texts.size(); ++i) folder_.write("texts/" + std::to_string(i), texts[i]);
  const auto shard = [&](const std::string& input) {
    const Result r = run({"shard", input, "--tokenizer", path("tok"), "--out", path("s")});
    EXPECT_EQ(r.code, 0) << r.err;
    return content_of(path("s.bin")) + content_of(path("s.idx"));
  };
  const std::string want = shard(path("texts"));
  EXPECT_EQ(shard(folder_.write("a.json", array).string()), want);
  EXPECT_EQ(shard(folder_.write("b.txt", testing::zstd_packed(lines)).string()), want);
  EXPECT_EQ(shard(folder_.write("c.jsonl.gz", testing::gzip_packed(lines)).string()), want);
  const std::string packed = testing::gzip_packed(lines);
  const auto cut = folder_.write("d.jsonl.gz", packed.substr(0, packed.size() - 3)).string();
  const Result r = run({"shard", cut, "--tokenizer", path("tok"), "--out", path("s")});
  EXPECT_EQ(r.code, 1);
  EXPECT_NE(r.err.find("d.jsonl.gz] ends after"), std::string::npos) << r.err;
  EXPECT_EQ(content_of(path("s.bin")) + content_of(path("s.idx")), want) << "what was there stays";
}

// The same file twice is two sources.
TEST_F(ShardCommand, LineageCountsAFileThatIsGivenTwice) {
  ASSERT_EQ(run({"shard", text_, text_, "--tokenizer", path("tok"), "--out", path("s"), "--split",
                 "blank-lines"})
                .code,
            0);
  const auto facts = nlohmann::json::parse(read_manifest(manifest_path(path("s"), false)).facts);
  EXPECT_EQ(facts["documents_per_input"], (std::vector<int>{0, 2, 2}));
}

TEST_F(ShardCommand, LineageFollowsAShardAndATokenToItsSource) {
  const auto second = folder_.write("u.txt", "cc\n\ndd\n\nee\n").string();
  ASSERT_EQ(run({"shard", text_, second, "--tokenizer", path("tok"), "--out", path("s"), "--split",
                 "blank-lines"})
                .code,
            0);
  Result r = run({"lineage", path("s"), "--json", "--token", "13"});
  ASSERT_EQ(r.code, 0) << r.err;
  auto j = nlohmann::json::parse(r.out);
  EXPECT_EQ(j["kind"], "shard");
  EXPECT_EQ(j["problems"], 0);
  EXPECT_EQ(j["parents"].size(), 3u);
  EXPECT_EQ(j["traced"]["document"], 3);
  EXPECT_EQ(j["traced"]["source"], second);
  EXPECT_EQ(j["traced"]["document_of_source"], 1);

  folder_.write("u.txt", "changed");
  std::filesystem::remove(text_);
  r = run({"lineage", path("s")});
  EXPECT_EQ(r.code, 1);
  EXPECT_NE(r.out.find("t.txt  MISSING"), std::string::npos) << r.out;
  EXPECT_NE(r.out.find("u.txt  CHANGED"), std::string::npos) << r.out;
  EXPECT_NE(run({"lineage", second}).err.find("has no manifest"), std::string::npos);
}

}  // namespace
}  // namespace lathe
