#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "io/packing.h"
#include "io/temp_folder.h"
#include "lathe/base/parallel.h"
#include "lathe/cli/commands/commands.h"
#include "lathe/cli/frame/interrupt.h"
#include "lathe/cli/frame/program.h"
#include "lathe/io/manifest.h"

namespace lathe {
namespace {

using testing::gzip_packed;
using testing::zstd_packed;

struct Result {
  int code;
  std::string out, err;
};

Result run(const std::vector<std::string>& arguments, ProgressStyle::Kind kind = {}) {
  const std::vector<Command> catalogue = {tokenizer_command()};
  std::ostringstream out, err;
  const int code = run_program({catalogue}, arguments, {out, err, {kind, &err, 80}});
  return {code, out.str(), err.str()};
}

class TokenizerCommand : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  // The tokenizer.json learned from these paths.
  std::string learned(const std::vector<std::string>& paths,
                      const std::vector<std::string>& more = {}) const {
    std::vector<std::string> line = {"tokenizer", "train",         "--vocab-size", "280",
                                     "--out",     path("tok/new"), "--json",       "--overwrite"};
    line.insert(line.end(), paths.begin(), paths.end());
    line.insert(line.end(), more.begin(), more.end());
    const Result r = run(line);
    EXPECT_EQ(r.code, 0) << r.err;
    return r.code == 0 ? content_of(path("tok/new/tokenizer.json")) : r.err;
  }
  TempFolder folder_;
};

// Words cannot reach from one document into the next, whatever the documents come in.
TEST_F(TokenizerCommand, LearnsTheDocumentsWhateverTheyComeIn) {
  std::string lines, array = "[";
  for (int i = 0; i < 40; ++i) {
    const nlohmann::json json =
        i % 7 == 0 ? fmt::format("你好{} \"tea\"\n", i) : fmt::format("abab{}", i);
    lines += nlohmann::json({{"id", i}, {"text", json}}).dump(-1, ' ', true) + "\n";
    array += (i > 0 ? ",\n" : "") + json.dump();
    folder_.write(fmt::format("texts/{:02}.txt", i), json.get<std::string>());
  }
  array += "]";
  const std::string want = learned({path("texts")});
  EXPECT_NE(want.find("\"abab\""), std::string::npos) << "it learned something";
  EXPECT_EQ(learned({folder_.write("a.jsonl", lines).string()}), want);
  EXPECT_EQ(learned({folder_.write("b.txt", gzip_packed(lines)).string()}), want);
  EXPECT_EQ(learned({folder_.write("c", zstd_packed(array)).string()}), want);
  EXPECT_EQ(learned({folder_.write("d.json", array).string()}), want);
  std::string renamed = lines;
  for (size_t at; (at = renamed.find("\"text\"")) != std::string::npos;)
    renamed.replace(at, 6, "\"body\"");
  EXPECT_EQ(learned({folder_.write("e.ndjson", renamed).string()}, {"--text-field", "body"}), want);
  const int before = thread_count();
  for (const char* threads : {"1", "3"})
    EXPECT_EQ(learned({path("a.jsonl")}, {"--threads", threads}), want);
  set_thread_count(before);
}

TEST_F(TokenizerCommand, ReplacesATokenizerOnlyWhenAsked) {
  const std::string text = folder_.write("t.txt", "ab ab abc").string();
  std::vector<std::string> line = {"tokenizer", "train",        text, "--out",
                                   path("tok"), "--vocab-size", "256"};
  ASSERT_EQ(run(line).code, 0);
  const std::string before = content_of(path("tok/tokenizer.json"));
  line.back() = "257";
  const Result refused = run(line);
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("replace it with --overwrite"), std::string::npos) << refused.err;
  EXPECT_EQ(content_of(path("tok/tokenizer.json")), before);
  line.push_back("--overwrite");
  EXPECT_EQ(run(line).code, 0);
  EXPECT_NE(content_of(path("tok/tokenizer.json")), before);
  line[4] = "";
  EXPECT_NE(run(line).err.find("--out is empty"), std::string::npos);
}

TEST_F(TokenizerCommand, SaysWhatItLeftOut) {
  folder_.write("d/a.jsonl", "{\"text\": \"abc\"}\n{\"text\": null}\n");
  folder_.write("d/b.png", "x");
  const std::vector<std::string> line = {"tokenizer", "train",        path("d"), "--out",
                                         path("tok"), "--vocab-size", "256",     "--json"};
  const Result refused = run(line);
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("a.jsonl:2] the field 'text' is null"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tok"));
  std::vector<std::string> advised = line;
  advised.push_back("--skip-bad");
  const Result r = run(advised);
  ASSERT_EQ(r.code, 0) << r.err;
  const auto j = nlohmann::json::parse(r.out);
  EXPECT_EQ(j["documents"], 1);
  EXPECT_EQ(j["bad_records"], 1);
  EXPECT_EQ(j["left_out_files"], 1);
  EXPECT_NE(r.err.find("skipping 1 file in folders"), std::string::npos) << r.err;
  EXPECT_NE(r.err.find("1 .png"), std::string::npos) << r.err;
  EXPECT_NE(r.err.find("skipping 1 JSON record and 0 files without text"), std::string::npos);
  EXPECT_EQ(read_manifest(manifest_path(path("tok"), true)).inputs.size(), 1u);
}

TEST_F(TokenizerCommand, EncodingShowsProgressAndDecodingGivesTheBytesBack) {
  std::string text;
  for (int i = 0; i < 60000; ++i) text += fmt::format("abab {}\n", i % 97);
  folder_.write("t.txt", text);
  learned({path("t.txt")});
  const Result r = run(
      {"tokenizer", "encode", path("tok/new"), "--input", path("t.txt"), "--out", path("ids.json")},
      ProgressStyle::Kind::kBar);
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.err.find("encoding 100%"), std::string::npos) << r.err;
  ASSERT_EQ(run({"tokenizer", "decode", path("tok/new"), "--input", path("ids.json"), "--out",
                 path("back.txt")})
                .code,
            0);
  EXPECT_EQ(content_of(path("back.txt")), text);
  EXPECT_GT(nlohmann::json::parse(content_of(path("ids.json"))).size(), 1u << 16)
      << "more than one portion";

  set_interrupt_requested(true);
  EXPECT_EQ(run({"tokenizer", "encode", path("tok/new"), "--input", path("t.txt"), "--out",
                 path("stopped/a.json")})
                .code,
            130);
  EXPECT_EQ(run({"tokenizer", "decode", path("tok/new"), "--input", path("ids.json"), "--out",
                 path("b.txt")})
                .code,
            130);
  EXPECT_EQ(
      run({"tokenizer", "train", path("t.txt"), "--vocab-size", "280", "--out", path("c")}).code,
      130);
  set_interrupt_requested(false);
  for (const char* name : {"stopped", "b.txt", "c"})
    EXPECT_FALSE(std::filesystem::exists(folder_ / name)) << name;
  EXPECT_EQ(entries_in(folder_.path()), 4u) << "tok, t.txt, ids.json, back.txt";
}

TEST_F(TokenizerCommand, ExtendingKeepsIdsAndSaysWhatItGained) {
  folder_.write("a.txt", "abab cdcd abab");
  learned({path("a.txt")}, {"--special-token", "<|e|>"});
  const std::string zh = folder_.write("zh.txt", "天地天地 天地日月 日月日月").string();
  const std::vector<std::string> line = {"tokenizer", "extend", path("tok/new"), "--text",
                                         zh,          "--text", path("a.txt"),   "--add",
                                         "9",         "--out",  path("more"),    "--json"};
  const Result r = run(line);
  ASSERT_EQ(r.code, 0) << r.err;
  const auto j = nlohmann::json::parse(r.out);
  const auto vocab = [&](const char* file) {
    return nlohmann::json::parse(content_of(path(file)))["model"]["vocab"];
  };
  const auto old = vocab("tok/new/tokenizer.json"), now = vocab("more/tokenizer.json");
  EXPECT_EQ(now.size(), old.size() + 9);
  for (const auto& [piece, id] : old.items()) EXPECT_EQ(now[piece], id) << piece;
  EXPECT_EQ(content_of(path("more/tokenizer_config.json")),
            content_of(path("tok/new/tokenizer_config.json")));
  EXPECT_EQ(j["characters"], 0) << "bytes are merged";
  ASSERT_EQ(j["texts"].size(), 2u);
  int64_t before = 0, characters = 0;
  for (const auto& text : j["texts"]) {
    before += text["before"]["tokens"].get<int64_t>();
    characters += text["characters"].get<int64_t>();
  }
  EXPECT_EQ(characters, 14 + 14);
  EXPECT_EQ(j["before"]["tokens"], before);
  EXPECT_DOUBLE_EQ(j["before"]["tokens_per_character"].get<double>(),
                   static_cast<double>(before) / static_cast<double>(characters));
  EXPECT_LT(j["after"]["tokens"], before);
  EXPECT_EQ(read_manifest(manifest_path(path("more"), true)).inputs.size(), 2u);
  EXPECT_NE(run(line).err.find("replace it with --overwrite"), std::string::npos);
}

TEST_F(TokenizerCommand, PruningKeepsTheTokensOfTheText) {
  folder_.write("a.txt", "abab cdcd abab efefef cdcd ghgh");
  learned({path("a.txt")}, {"--special-token", "<|e|>", "--eos", "<|e|>"});
  folder_.write("b.txt", "abab ab cdx <|e|>");
  const std::vector<std::string> line = {"tokenizer",  "prune",       path("tok/new"),
                                         "--text",     path("b.txt"), "--out",
                                         path("less"), "--json",      "--no-keep-bytes"};
  const Result r = run(line);
  ASSERT_EQ(r.code, 0) << r.err;
  const auto j = nlohmann::json::parse(r.out);
  const auto map = nlohmann::json::parse(content_of(path("less/id_map.json")));
  ASSERT_EQ(map.size(), j["after"]["vocab_size"].get<size_t>());
  EXPECT_LT(map.size(), 30u);
  const auto ids_of = [&](const char* tokenizer) {
    EXPECT_EQ(run({"tokenizer", "encode", path(tokenizer), "--input", path("b.txt"), "--out",
                   path("ids.json")})
                  .code,
              0);
    return nlohmann::json::parse(content_of(path("ids.json"))).get<std::vector<size_t>>();
  };
  std::vector<size_t> ids = ids_of("less");
  for (size_t& id : ids) id = map[id].get<size_t>();
  EXPECT_EQ(ids, ids_of("tok/new"));
  EXPECT_EQ(j["tokens"], ids.size());
  const auto config = nlohmann::json::parse(content_of(path("less/tokenizer_config.json")));
  EXPECT_EQ(config["eos_token"], "<|e|>");
  EXPECT_EQ(config["added_tokens_decoder"].size(), 1u);
  EXPECT_NE(run(line).err.find("replace it with --overwrite"), std::string::npos);
}

TEST_F(TokenizerCommand, RendersConversationsWithATemplate) {
  folder_.write("text.txt", "ab ab");
  learned({path("text.txt")});
  folder_.write(
      "tok/new/chat_template.jinja",
      "{% for m in messages %}{{ m.content }}{% endfor %}{{ '?' if add_generation_prompt }}");
  folder_.write("chats.json",
                R"([{"messages": [{"role": "user", "content": "a"}], "add_generation_prompt": true},
                    {"messages": []},
                    {"messages": [{"role": "user", "content": "a"},
                                  {"role": "assistant", "content": "b"}]}])");
  const Result r =
      run({"tokenizer", "template", path("tok/new"), "--input", path("chats.json"), "--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto results = nlohmann::json::parse(r.out)["results"];
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0]["text"], "a?");
  EXPECT_EQ(results[0]["assistant_mask"], (std::vector<int>{0, 0}));
  EXPECT_NE(results[1]["error"].get<std::string>().find("no messages"), std::string::npos);
  EXPECT_TRUE(results[2]["assistant_mask"].is_null());
  EXPECT_EQ(results[2]["text"], "ab");
  folder_.write("one.json", R"({"messages": [{"role": "user", "content": "a"}]})");
  folder_.write("t.jinja", "<{{ messages[0].role }}>");
  EXPECT_EQ(run({"tokenizer", "template", path("tok/new"), "--input", path("one.json"),
                 "--template", path("t.jinja")})
                .out,
            "<user>\n");
}

}  // namespace
}  // namespace lathe
