// The generated pages under docs/ are those of this program.
#include <gtest/gtest.h>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"

namespace lathe {
namespace {

TEST(Docs, GeneratedPagesAreUpToDate) {
  const std::pair<const char*, const char*> pages[] = {{"--markdown", "commands.md"},
                                                       {"--components", "components.md"},
                                                       {"--recipe", "recipe.md"},
                                                       {"--combinations", "combinations.md"}};
  for (const auto& [option, file] : pages) {
    const std::string page =
        content_of(std::filesystem::path(LATHE_TEST_DIR).parent_path() / "docs" / file);
    const std::string made = run_lathe({"help", option}).out;
    EXPECT_GT(made.size(), 500u) << option;
    EXPECT_TRUE(page == made) << "docs/" << file
                              << " is not what the program says; run tools/make_docs.sh";
  }
}

}  // namespace
}  // namespace lathe
