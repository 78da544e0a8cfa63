#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/base/parallel.h"
#include "text/sample_json.h"

namespace lathe {
namespace {

// The sample's 264 tokens, and "zz", which no merge makes.
std::string json_with_an_unreachable_piece() {
  auto json = nlohmann::json::parse(testing::sample_json({}));
  json["model"]["vocab"]["zz"] = testing::kSampleSize;
  return json.dump();
}

class TokenizerCompare : public ::testing::Test {
 protected:
  CommandResult run(std::vector<std::string> more) const {
    more.insert(more.begin(), {"tokenizer", "compare", tokenizer_});
    return run_lathe(more);
  }
  nlohmann::json compared(std::vector<std::string> more) const {
    more.push_back("--json");
    const CommandResult r = run(more);
    EXPECT_EQ(r.code, 0) << r.err;
    return r.code == 0 ? nlohmann::json::parse(r.out)["tokenizers"] : nlohmann::json();
  }
  TempFolder folder_;
  std::string tokenizer_ =
      folder_.write("tokenizer.json", json_with_an_unreachable_piece()).string();
};

TEST_F(TokenizerCompare, CountsTokensAndPieces) {
  // "the", " c", "at", "\n", " ", "abab"
  const std::string text = folder_.write("a.txt", "the cat\n abab").string();
  const std::string other = folder_.write("b.json", testing::sample_json({})).string();
  const auto list = compared({other, "--text", text, "--hidden-size", "10"});
  ASSERT_EQ(list.size(), 2u);
  const auto& t = list[0];
  EXPECT_EQ(t["path"], tokenizer_);
  EXPECT_EQ(t["vocab"], 265);
  EXPECT_EQ(t["unused"], 265 - 6);
  EXPECT_EQ(t["unreachable"]["count"], 1);
  EXPECT_EQ(t["unreachable"]["examples"][0]["text"], "zz");
  EXPECT_EQ(t["unreachable"]["examples"][0]["id"], 264);
  EXPECT_EQ(t["partial_characters"], 128);
  EXPECT_EQ(t["undertrained_candidates"]["count"], 129);
  EXPECT_EQ(t["undertrained_candidates"]["examples"].size(), 20u);
  EXPECT_EQ(t["embedding_parameters"], 2650);
  EXPECT_EQ(t["head_parameters"], 2650);
  EXPECT_DOUBLE_EQ(t["characters_per_8k_tokens"].get<double>(), 8192 * 13 / 6.0);
  const auto& row = t["texts"][0];
  EXPECT_EQ(row["path"], text);
  EXPECT_EQ(row["tokens"], 6);
  EXPECT_EQ(row["bytes"], 13);
  EXPECT_EQ(row["characters"], 13);
  EXPECT_DOUBLE_EQ(row["bytes_per_token"].get<double>(), 13 / 6.0);
  EXPECT_DOUBLE_EQ(row["tokens_per_character"].get<double>(), 6 / 13.0);
  for (const char* name : {"numbers", "dates", "code_indentation", "url"})
    EXPECT_GT(t["samples"][name].size(), 10u) << name;
  EXPECT_EQ(list[1]["unreachable"]["count"], 0);
}

TEST_F(TokenizerCompare, GroupsDocumentsByAField) {
  const std::string text = folder_
                               .write("a.jsonl",
                                      "{\"text\": \"the\", \"name\": \"x\"}\n"
                                      "{\"text\": \"é\", \"name\": 2}\n"
                                      "{\"text\": \"the the\", \"name\": \"x\"}\n")
                               .string();
  const auto rows = compared({"--text", text, "--by", "name"})[0]["texts"];
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["group"], "x");
  EXPECT_EQ(rows[0]["tokens"], 3);
  EXPECT_EQ(rows[0]["bytes"], 10);
  EXPECT_EQ(rows[1]["group"], "2");
  EXPECT_EQ(rows[1]["bytes"], 2);
  EXPECT_EQ(rows[1]["characters"], 1);
  const int before = thread_count();
  const std::string one = run({"--text", text, "--by", "name", "--threads", "1"}).out;
  EXPECT_EQ(run({"--text", text, "--by", "name", "--threads", "3"}).out, one);
  set_thread_count(before);
  EXPECT_NE(run({"--text", text, "--by", "lang"}).err.find("has no field 'lang' to group by"),
            std::string::npos);
  const std::string plain = folder_.write("p.txt", "the").string();
  EXPECT_NE(run({"--text", plain, "--by", "name"}).err.find("is plain text"), std::string::npos);
}

TEST_F(TokenizerCompare, ThePageEscapesTextsAndFetchesNothing) {
  const std::string text = folder_
                               .write("a.jsonl",
                                      "{\"text\": \"<script>alert(1)</script> the\\t\\nabab\", "
                                      "\"name\": \"<b>\"}\n")
                               .string();
  const std::string file = (folder_ / "out.html").string();
  compared({"--text", text, "--by", "name", "--html", file});
  const std::string page = content_of(file);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<b><"), std::string::npos);
  EXPECT_NE(page.find("&lt;b&gt;"), std::string::npos);
  EXPECT_NE(page.find("<i>·</i>the</span>"), std::string::npos) << "white space can be seen";
  EXPECT_NE(page.find("title=\"258\""), std::string::npos) << "the id of ' the'";
  for (const char* fetched : {"src=", "href=", "url(", "@import"})
    EXPECT_EQ(page.find(fetched), std::string::npos) << fetched;
}

TEST_F(TokenizerCompare, ErrorsSayWhatIsMissing) {
  EXPECT_EQ(run({}).code, 2);
  EXPECT_NE(run({}).err.find("--text"), std::string::npos);
  const std::string empty = folder_.write("empty.txt", " \n").string();
  EXPECT_NE(run({"--text", empty}).err.find("the corpus is empty"), std::string::npos);
  EXPECT_NE(run({"--text", (folder_ / "gone").string()}).err.find("does not exist"),
            std::string::npos);
}

TEST_F(TokenizerCompare, SaysWhereUnknownTokensLoseText) {
  const std::string words = folder_
                                .write("words.json",
                                       R"({"version": "1.0", "added_tokens": [], "normalizer": null,
"pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
"model": {"type": "WordLevel", "vocab": {"the": 0, "[UNK]": 1}, "unk_token": "[UNK]"}})")
                                .string();
  const std::string text = folder_.write("a.txt", "the longest words").string();
  const auto list = compared({words, "--text", text});
  EXPECT_EQ(list[0]["texts"][0]["unknown_tokens"], 0);
  EXPECT_EQ(list[1]["texts"][0]["unknown_tokens"], 2);
  const std::string out = run({words, "--text", text}).out;
  EXPECT_NE(out.find("   ?5.67\n"), std::string::npos) << out;
  EXPECT_NE(out.find("more than 1 % of the tokens are unknown"), std::string::npos) << out;
}

TEST_F(TokenizerCompare, TheTableFitsATerminal) {
  const std::string text = folder_.write(std::string(60, 'n') + ".txt", "the cat").string();
  const std::string out = run({"--text", text}).out;
  EXPECT_NE(out.find("265, 262 unused, 1 unreachable"), std::string::npos) << out;
  const std::string table = out.substr(out.find("\n\n") + 2);
  EXPECT_NE(table.find("nnn.txt    2.33\n"), std::string::npos) << table;
  EXPECT_NE(table.find("…"), std::string::npos) << table;
}

}  // namespace
}  // namespace lathe
