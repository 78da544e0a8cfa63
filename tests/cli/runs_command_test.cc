// lathe runs on folders written by hand: what counts as a run, its state, and damage.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/demo_testing.h"
#include "io/temp_folder.h"
#include "lathe/io/folder_lock.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

class Runs : public ::testing::Test {
 protected:
  void write_run(const std::string& name, int steps, int planned) {
    std::string lines;
    for (int i = 1; i <= steps; ++i)
      lines += fmt::format("{{\"step\":{},\"loss\":{}}}\n", i, 5.0 - i);
    lines += fmt::format("{{\"step\":{},\"val_loss\":2.5}}\n", steps);
    folder_.write(name + "/metrics.jsonl", lines);
    folder_.write(name + "/recipe.json", fmt::format("{{\"train\":{{\"steps\":{}}}}}", planned));
  }
  nlohmann::json list(std::vector<std::string> arguments = {}) const {
    if (arguments.empty()) arguments = {folder_.path().string()};
    arguments.insert(arguments.begin(), "runs");
    arguments.push_back("--json");
    const CommandResult r = run_lathe(arguments);
    EXPECT_EQ(r.code, 0) << r.err;
    return nlohmann::json::parse(r.out)["runs"];
  }
  nlohmann::json row(const std::string& name) const {
    for (const auto& run : list())
      if (run["path"] == (folder_ / name).string()) return run;
    ADD_FAILURE() << "no row for " << name;
    return {};
  }
  TempFolder folder_;
};

TEST_F(Runs, AreFoundAtAnyDepthWithTheirLosses) {
  write_run("a", 3, 10);
  write_run("deep/er/b", 2, 2);
  const auto a = row("a");
  EXPECT_EQ(a["state"], "stopped");
  EXPECT_EQ(a["steps"], 3);
  EXPECT_EQ(a["planned_steps"], 10);
  EXPECT_EQ(a["loss"], 2.0);
  EXPECT_EQ(a["val_loss"], 2.5);
  EXPECT_LT(a["age_seconds"].get<double>(), 600);
  EXPECT_EQ(a["note"], "");
  EXPECT_EQ(row("deep/er/b")["steps"], 2);
  EXPECT_EQ(list({folder_.path().string(), (folder_ / "deep").string()}).size(), 2u)
      << "folders that overlap list a run once";
  const CommandResult text = run_lathe({"runs", (folder_ / "deep").string()});
  EXPECT_NE(text.out.find("stopped  2 of 2  3.0000    2.5000"), std::string::npos) << text.out;
}

TEST_F(Runs, OfRewardsShowThemInsteadOfALoss) {
  write_run("plain", 1, 1);
  const auto header = [&] { return run_lathe({"runs", folder_.path().string()}).out; };
  EXPECT_EQ(header().find("reward"), std::string::npos) << header();
  folder_.write("rl/metrics.jsonl",
                "{\"step\":1,\"loss\":0.125,\"reward\":0.75}\n"
                "{\"step\":1,\"val_loss\":-0.5,\"val_reward\":0.5}\n");
  const auto run = row("rl");
  EXPECT_EQ(run["reward"], 0.75);
  EXPECT_EQ(run["val_reward"], 0.5);
  EXPECT_TRUE(run["val_loss"].is_null()) << run;
  EXPECT_TRUE(row("plain")["val_reward"].is_null());
  EXPECT_NE(header().find("reward  val reward"), std::string::npos) << header();
  EXPECT_NE(header().find("0.1250         -  0.7500      0.5000"), std::string::npos) << header();
}

TEST_F(Runs, StateFollowsTheLockAndTheModel) {
  write_run("a", 1, 2);
  folder_.write("a/.lock", "process 1 on elsewhere\n");
  EXPECT_EQ(row("a")["state"], "stopped") << "a file that a killed process left is no lock";
  {
    const FolderLock lock(folder_ / "a");
    EXPECT_EQ(row("a")["state"], "running");
    EXPECT_TRUE(is_locked(folder_ / "a"));
  }
  EXPECT_FALSE(is_locked(folder_ / "a"));
  EXPECT_EQ(row("a")["state"], "stopped");
  folder_.write("a/model/lathe.manifest.json",
                R"({"lathe_manifest":1,"kind":"model","facts":{"steps":1}})");
  EXPECT_EQ(row("a")["state"], "finished");
  write_run("a", 2, 3);  // made longer, and stopped again: the model is that of its first end
  EXPECT_EQ(row("a")["state"], "stopped");
  write_run("b", 2, 2);  // of an adapter, which is its result
  EXPECT_EQ(row("b")["state"], "stopped");
  folder_.write("b/adapter/lathe.manifest.json",
                R"({"lathe_manifest":1,"kind":"adapter","facts":{"steps":2}})");
  EXPECT_EQ(row("b")["state"], "finished");
}

TEST_F(Runs, ADamagedRunIsARowWithANote) {
  write_run("good", 1, 2);
  folder_.write("broken/metrics.jsonl", "not json\n{\"step\":1,\"loss\":1}\n");
  folder_.write("new/metrics.jsonl", "");
  write_run("recipe", 4, 5);
  folder_.write("recipe/recipe.json", "{\"train\":");
  write_run("odd", 4, 5);
  folder_.write("odd/recipe.json", "{\"train\":[1]}");
  fs::create_directories(folder_ / "folder/metrics.jsonl");
  EXPECT_EQ(list().size(), 6u);
  EXPECT_NE(row("broken")["note"].get<std::string>().find("line 1 is not a JSON object"),
            std::string::npos);
  EXPECT_NE(row("new")["note"].get<std::string>().find("no training step yet"), std::string::npos);
  EXPECT_EQ(row("new")["steps"], 0);
  EXPECT_NE(row("recipe")["note"].get<std::string>().find("recipe.json"), std::string::npos);
  EXPECT_NE(row("odd")["note"].get<std::string>().find("does not say how many steps"),
            std::string::npos);
  EXPECT_EQ(row("odd")["steps"], 4);
  EXPECT_NE(row("folder")["note"], "");
}

TEST_F(Runs, ALossThatIsNotANumberIsShownAsSuch) {
  folder_.write("a/metrics.jsonl", "{\"step\":1,\"loss\":\"NaN\"}\n");
  EXPECT_EQ(row("a")["loss"], "NaN");
  EXPECT_NE(run_lathe({"runs", folder_.path().string()}).out.find("NaN"), std::string::npos);
}

TEST_F(Runs, NoneAndWrongFolders) {
  EXPECT_TRUE(list().empty());
  const CommandResult none = run_lathe({"runs", folder_.path().string()});
  EXPECT_EQ(none.code, 0);
  EXPECT_NE(none.err.find("no training run below"), std::string::npos) << none.err;
  const CommandResult wrong = run_lathe({"runs", (folder_ / "gone").string()});
  EXPECT_NE(wrong.code, 0);
  EXPECT_NE(wrong.err.find("is not a folder"), std::string::npos) << wrong.err;
}

}  // namespace
}  // namespace lathe
