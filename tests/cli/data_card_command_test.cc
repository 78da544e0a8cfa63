// lathe data card: what it prints and writes, and what it refuses.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"

namespace lathe {
namespace {

class DataCardCommand : public ::testing::Test {
 protected:
  DataCardCommand() {
    rows_ =
        folder_
            .write(
                "rows.jsonl",
                "{\"prompt\": \"What is the time of day?\", \"completion\": \"It is late | <b>\"}\n"
                "{\"prompt\": \"What is the time of day?\", \"completion\": \"It is early\"}\n"
                "{\"prompt\": \"What is the time of day?\", \"completion\": \"It is early\"}\n")
            .string();
  }
  CommandResult run(std::vector<std::string> more) const {
    std::vector<std::string> arguments = {"data", "card", rows_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_lathe(arguments);
  }
  void expect_refusal(std::vector<std::string> more, const char* part) const {
    const CommandResult r = run(std::move(more));
    EXPECT_NE(r.code, 0);
    EXPECT_NE(r.err.find(part), std::string::npos) << r.err;
  }
  const TempFolder folder_;
  std::string rows_;
};

TEST_F(DataCardCommand, PrintsItInWordsAndAsJson) {
  const CommandResult text = run({});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("| equal to an earlier row | 1 (33.3 %) |"), std::string::npos)
      << text.out;
  EXPECT_NE(text.out.find("| with a prompt that has different answers | 3 (100.0 %) |"),
            std::string::npos)
      << text.out;
  EXPECT_NE(text.out.find("█"), std::string::npos);
  const CommandResult r = run({"--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const auto card = nlohmann::json::parse(r.out);
  EXPECT_EQ(card["rows"], 3);
  EXPECT_EQ(card["languages"]["en"], 3);
  EXPECT_EQ(card["conflicting_prompts"], 1);
}

TEST_F(DataCardCommand, WritesAPageOrMarkdown) {
  const std::string against = folder_.write("tests.txt", "so: what is the time of day").string();
  ASSERT_EQ(
      run({"--against", against, "--ngram", "5", "--out", (folder_ / "card.html").string()}).code,
      0);
  const std::string page = content_of(folder_ / "card.html");
  EXPECT_NE(page.find("Rows with 5 words in a row that other text has"), std::string::npos);
  EXPECT_NE(page.find("<td class=\"n\">3 (100.0 %)</td>"), std::string::npos) << page;
  EXPECT_EQ(page.find("src="), std::string::npos) << "nothing may be fetched";
  ASSERT_EQ(run({"--out", (folder_ / "card.md").string()}).code, 0);
  EXPECT_EQ(content_of(folder_ / "card.md").rfind("# Data card of ", 0), 0u);
  expect_refusal({"--out", (folder_ / "card.md").string()}, "exists; choose another name");
  EXPECT_EQ(run({"--out", (folder_ / "card.md").string(), "--overwrite"}).code, 0);
}

TEST_F(DataCardCommand, RefusesWhatCannotWork) {
  expect_refusal({"--out", (folder_ / "card.pdf").string()}, "neither .html nor .md nor .json");
  expect_refusal({"--seq-len", "8"}, "--seq-len counts tokens, which need --model");
  expect_refusal({"--objective", "dpo"}, "rows.jsonl:1] 'chosen' is missing");
  expect_refusal({"--objective", "next_token"}, "learns from running text");
  expect_refusal({"--against", "/nowhere.txt"}, "/nowhere.txt");
}

}  // namespace
}  // namespace lathe
