#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/cli/frame/interrupt.h"

namespace lathe {
namespace {

class DemoCommand : public ::testing::Test {
 protected:
  void SetUp() override { text_ = folder_.write("text.txt", simple_text(2000)).string(); }
  CommandResult demo(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"demo", "--text", text_,       "--minutes",
                                          "0.02", "--out",  path("run"), "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_lathe(arguments);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  nlohmann::json metrics_line(const std::string& run, size_t line) const {
    std::istringstream in(content_of(folder_ / (run + "/metrics.jsonl")));
    std::string text;
    for (size_t i = 0; i <= line; ++i) std::getline(in, text);
    return nlohmann::json::parse(text);
  }
  TempFolder folder_;
  std::string text_;
};

TEST_F(DemoCommand, LearnsWritesAndReports) {
  const CommandResult r = demo();
  ASSERT_EQ(r.code, 0) << r.err;
  const auto j = nlohmann::json::parse(r.out);
  EXPECT_GE(j["steps"], 20);
  const double first = metrics_line("run", 0)["loss"];
  EXPECT_LT(j["val_loss"].get<double>(), 0.8 * first);
  const std::string page = content_of(folder_ / "run/report.html");
  for (const char* part : {"Curves", "Texts of the finished model", "Texts during training",
                           "Stages", "Machine", "Recipe", "Lineage"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  EXPECT_EQ(run_lathe({"lineage", path("run/model")}).code, 0);
  EXPECT_EQ(
      run_lathe({"generate", path("run/model"), "--prompt", "The", "--max-new-tokens", "5"}).code,
      0);

  const CommandResult again =
      run_lathe({"train", path("run/recipe.toml"), "--train.out=" + path("again"),
                 "--optim.lr=1e-3", "--train.steps=3", "--json"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(metrics_line("again", 0)["loss"], first) << "the recipe is the whole run";

  const std::string before = content_of(folder_ / "run/metrics.jsonl");
  const CommandResult second = demo();
  ASSERT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(nlohmann::json::parse(second.out)["out"], path("run-2"))
      << "a finished run is left alone";
  EXPECT_EQ(content_of(folder_ / "run/metrics.jsonl"), before);
}

TEST_F(DemoCommand, AnInterruptedDemoGoesOn) {
  set_interrupt_requested(true);
  const CommandResult stopped = demo();
  set_interrupt_requested(false);
  EXPECT_EQ(stopped.code, 130);
  ASSERT_TRUE(std::filesystem::exists(folder_ / "run/demo.json"));
  const CommandResult r = demo();
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_NE(r.err.find("continuing the unfinished demo"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(r.out)["out"], path("run"));
}

TEST_F(DemoCommand, OtherWishesDoNotGoOnWithAnUnfinishedDemo) {
  folder_.write(
      "run/demo.json",
      R"({"minutes": 3.0, "text": "", "complete": false, "stages": [{"name": "text", "seconds": 1.0, "detail": ""}]})");
  const CommandResult r = demo();
  EXPECT_EQ(r.code, 2);
  EXPECT_NE(r.err.find("--fresh"), std::string::npos) << r.err;
}

}  // namespace
}  // namespace lathe
