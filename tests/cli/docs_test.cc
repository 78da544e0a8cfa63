// The generated pages under docs/ are those of this program.
#include <gtest/gtest.h>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "paths.h"

namespace lathe {
namespace {

std::string page_named(const char* file) {
  return content_of(testing::tests_folder().parent_path() / "docs" / file);
}

TEST(Docs, GeneratedPagesAreUpToDate) {
  const std::pair<const char*, const char*> pages[] = {{"--markdown", "commands.md"},
                                                       {"--components", "components.md"},
                                                       {"--recipe", "recipe.md"},
                                                       {"--combinations", "combinations.md"},
                                                       {"--tasks", "tasks.md"}};
  for (const auto& [option, file] : pages) {
    const std::string page = page_named(file);
    const std::string made = run_lathe({"help", option}).out;
    EXPECT_GT(made.size(), 500u) << option;
    EXPECT_TRUE(page == made) << "docs/" << file
                              << " is not what the program says; run tools/make_docs.sh";
  }
}

TEST(Docs, TableOfNormalizersIsUpToDate) {
  const std::string made = run_lathe({"help", "--normalizers"}).out;
  EXPECT_GT(made.size(), 500u);
  EXPECT_NE(page_named("normalisation.md")
                .find("<!-- from lathe help --normalizers -->\n" + made +
                      "<!-- end of lathe help --normalizers -->\n"),
            std::string::npos)
      << "docs/normalisation.md does not have the program's table; run tools/make_docs.sh";
}

}  // namespace
}  // namespace lathe
