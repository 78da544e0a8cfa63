// The bash script that `lathe completion bash` prints, run in bash as it is when someone presses
// Tab.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <set>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/base/strings.h"

namespace lathe {
namespace {

class Completion : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("bash -c 'type compgen' >/dev/null 2>&1") != 0)
      GTEST_SKIP() << "there is no bash with compgen on this machine";
    folder_.write("lathe.bash", run_lathe({"completion", "bash"}).out);
    folder_.write("some-file", "");
  }
  // What is offered for the last of `words`, as bash splits them: at "=" as well.
  std::set<std::string> offered(const std::vector<std::string>& words) const {
    std::string quoted;
    for (const std::string& w : words) quoted += " '" + w + "'";
    folder_.write("run.bash", "cd " + folder_.path().string() +
                                  "\nsource ./lathe.bash\nCOMP_WORDS=(" + quoted +
                                  ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_lathe 2>err >&2\n"
                                  "printf '%s\\n' \"${COMPREPLY[@]}\" > offered\n");
    const int status = std::system(("bash " + (folder_ / "run.bash").string()).c_str());
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_EQ(content_of(folder_ / "err"), "");
    std::istringstream in(content_of(folder_ / "offered"));
    std::set<std::string> all;
    for (std::string line; std::getline(in, line);)
      if (!line.empty()) all.insert(line);
    return all;
  }
  using Set = std::set<std::string>;
  TempFolder folder_;
};

TEST_F(Completion, CompletesCommandsAndOptions) {
  EXPECT_EQ(offered({"lathe", "tok"}), Set{"tokenizer"});
  EXPECT_EQ(offered({"lathe", "tokenizer", "tra"}), Set{"train"});
  EXPECT_EQ(offered({"lathe", "plot", "--log-"}), (Set{"--log-x", "--log-y"}));
  EXPECT_EQ(offered({"lathe", "plot", "--y", "val_l"}), Set{"val_loss"});
  EXPECT_EQ(offered({"lathe", "plot", "some"}), Set{"some-file"});
}

TEST_F(Completion, CompletesKeysOfTheRecipe) {
  const Set keys = offered({"lathe", "train", "some-file", "--optim.l"});
  EXPECT_TRUE(keys.contains("--optim.lr="))
      << join(std::vector<std::string>(keys.begin(), keys.end()), " ");
  for (const std::string& key : keys) EXPECT_TRUE(key.starts_with("--optim.l")) << key;
  EXPECT_EQ(offered({"lathe", "train", "--schedule.warmup_s"}), Set{"--schedule.warmup_steps="});
  EXPECT_TRUE(offered({"lathe", "train", "--model.f"}).contains("--model.from="));
  EXPECT_TRUE(offered({"lathe", "train", "--re"}).contains("--resume")) << "options stay";
  EXPECT_TRUE(offered({"lathe", "report", "--optim.l"}).empty()) << "report takes no keys";
}

TEST_F(Completion, CompletesTheChoicesOfAKey) {
  EXPECT_TRUE(offered({"lathe", "train", "--optim.name", "="}).contains("muon"));
  EXPECT_EQ(offered({"lathe", "train", "--optim.name", "=", "mu"}), Set{"muon"});
  EXPECT_EQ(offered({"lathe", "train", "--data.document_mask", "=", "t"}), Set{"true"});
  // A shell that does not break words at "=".
  EXPECT_EQ(offered({"lathe", "train", "--optim.name=mu"}), Set{"--optim.name=muon"});
  EXPECT_EQ(offered({"lathe", "plot", "--y=gra"}), Set{"--y=grad_norm"});
  EXPECT_EQ(offered({"lathe", "train", "--data.train", "=", "some"}), Set{"some-file"})
      << "files where a key has no choices";
}

}  // namespace
}  // namespace lathe
