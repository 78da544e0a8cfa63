#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "io/temp_folder.h"
#include "lathe/base/parallel.h"
#include "lathe/cli/commands.h"
#include "lathe/cli/interrupt.h"
#include "lathe/cli/program.h"
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
  const int code = run_program(catalogue, arguments, {out, err, {}});
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
  EXPECT_NE(error({text_, "--val-fraction", "1"}).find("at least 0 and below 1"),
            std::string::npos);
  set_interrupt_requested(true);
  EXPECT_EQ(run({"shard", text_, "--tokenizer", path("tok"), "--out", path("o/s")}).code, 130);
  set_interrupt_requested(false);
  EXPECT_EQ(entries_in(folder_ / "o"), 0u);
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
