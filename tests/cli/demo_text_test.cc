#include <gtest/gtest.h>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/cli/commands/demo/text.h"

namespace lathe {
namespace {

TEST(DemoText, Cleaning) {
  EXPECT_EQ(clean_text("a\tb  \r\nc\n\n\n\nd\n\n"), "a    b\nc\n\nd");
  EXPECT_EQ(clean_text("_\bu_\bnder b\bbold \x01\x7f"), "under bold");
  EXPECT_EQ(clean_text("\bx"), "x");
  EXPECT_EQ(clean_text("\xff"), "\xEF\xBF\xBD");
  EXPECT_EQ(clean_text(" \n \n"), "");
}

TEST(DemoText, CuttingLosesNoWord) {
  const std::string text = clean_text(simple_text(300));
  std::string joined;
  for (const std::string& part : cut_document(text, 500)) {
    EXPECT_LE(part.size(), 500u);
    EXPECT_FALSE(part.empty());
    joined += part;
  }
  const auto letters = [](std::string s) {
    std::erase_if(s, [](char c) { return c == ' ' || c == '\n'; });
    return s;
  };
  EXPECT_EQ(letters(joined), letters(text));
  EXPECT_EQ(cut_document(std::string(1200, 'x'), 500).size(), 3u);
  EXPECT_EQ(cut_document("éééé", 3)[0], "é") << "characters stay whole";
}

TEST(DemoText, RefusesWhatItCannotLearnFrom) {
  const TempFolder folder;
  const auto error = [&](const std::string& path) {
    const CommandResult r = run_lathe({"demo", "--text", path, "--out", (folder / "run").string()});
    EXPECT_NE(r.code, 0);
    return r.err;
  };
  EXPECT_NE(error(folder.write("empty.txt", " \n").string()).find("the corpus is empty"),
            std::string::npos);
  EXPECT_NE(error(folder.write("short.txt", "one line").string()).find("at least"),
            std::string::npos);
  EXPECT_NE(error((folder / "gone.txt").string()).find("does not exist"), std::string::npos);
  folder.write("other/file", "x");
  EXPECT_NE(run_lathe({"demo", "--out", (folder / "other").string()}).err.find("not a demo"),
            std::string::npos);
  EXPECT_EQ(content_of(folder / "other/file"), "x");
}

}  // namespace
}  // namespace lathe
