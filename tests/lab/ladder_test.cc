// What models scored, and from which compute on it is more than chance.
#include "lathe/lab/ladder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "io/temp_folder.h"
#include "lathe/eval/run/training_flops.h"
#include "lathe/io/manifest.h"
#include "lathe/lab/score_page.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

class Ladders : public ::testing::Test {
 protected:
  // An evaluation of a model at `flops`.
  void evaluation(const std::string& name, Json flops, double acc, double bits,
                  const std::string& task = "sums", Json questions = nullptr) const {
    const auto estimate = [](double value, double error) {
      return Json{
          {"value", value}, {"stderr", error}, {"ci95", {value - 2 * error, value + 2 * error}}};
    };
    Json results;
    results["tasks"][task] = {
        {"n", 100},
        {"metrics", {{"acc", estimate(acc, 0.02)}, {"bits_per_byte", estimate(bits, 0.05)}}},
        {"chance", 0.25}};
    if (!questions.is_null()) results["tasks"][task]["questions"] = questions;
    folder_.write(name + "/results.json", results.dump());
    folder_.write(name + "/receipt.json",
                  Json{{"model", "/m/" + name + "/model"},
                       {"training_flops", flops},
                       {"started", "2025-01-01T00:00:0" + name.substr(0, 1)},
                       {"shots", 0}}
                      .dump());
  }
  std::vector<ScoredModel> models() const { return list_scores({folder_.path()}); }
  TempFolder folder_;
};

TEST_F(Ladders, SayFromWhereOnAScoreIsMoreThanChance) {
  evaluation("3", 4e15, 0.70, 1.0);
  evaluation("1", 1e15, 0.25, 2.0);
  evaluation("2", 2e15, 0.26, 1.5);  // more likely, but no oftener right
  evaluation("4", nullptr, 0.9, 0.5);
  const auto scored = models();
  ASSERT_EQ(scored.size(), 4u);
  const auto ladders = ladders_of(scored);
  ASSERT_EQ(ladders.size(), 2u);
  EXPECT_EQ(ladders[0].metric, "acc");
  ASSERT_EQ(ladders[0].rungs.size(), 3u);
  EXPECT_EQ(ladders[0].rungs[0].flops, 1e15);
  EXPECT_EQ(ladders[0].rungs[0].model->run, "/m/1");
  ASSERT_TRUE(ladders[0].from.has_value());
  EXPECT_EQ(*ladders[0].from, 2u);
  EXPECT_EQ(ladders[1].metric, "bits_per_byte");
  EXPECT_EQ(ladders[1].from, std::optional<size_t>(1));
  EXPECT_EQ(ladder_text(ladders[0]),
            "sums acc is above chance from 4e+15 FLOPs on (" + (folder_ / "3").string() + ")");
}

TEST_F(Ladders, TakeAFallBackAsNoBeginning) {
  evaluation("1", 1e15, 0.70, 2.0);
  evaluation("2", 2e15, 0.25, 2.0);
  const auto scored = models();
  const auto ladders = ladders_of(scored);
  ASSERT_EQ(ladders.size(), 2u);
  EXPECT_FALSE(ladders[0].from.has_value());
  EXPECT_FALSE(ladders[1].from.has_value());
  EXPECT_EQ(ladder_text(ladders[0]),
            "sums acc is not above chance at the most compute here, 2e+15 FLOPs");
}

TEST_F(Ladders, PutFormsOfTheSameQuestionsBesideEachOther) {
  for (const std::string name : {"1", "2"}) {
    evaluation(name + "a", name == "1" ? 1e15 : 2e15, 0.5, 1, "x", "q");
    evaluation(name + "b", name == "1" ? 1e15 : 2e15, 0.5, 1, "a", "other");
    evaluation(name + "c", name == "1" ? 1e15 : 2e15, 0.5, 1, "b", "q");
  }
  const auto scored = models();
  const auto ladders = ladders_of(scored);
  ASSERT_EQ(ladders.size(), 6u);
  EXPECT_EQ(ladders[2].task, "b");
  EXPECT_EQ(ladders[3].task, "x");
  const std::string page = score_page(scored, ladders);
  EXPECT_NE(page.find("x, acc"), std::string::npos);
  EXPECT_NE(page.find("b, acc"), std::string::npos);
}

TEST_F(Ladders, ListWhatARunMeasured) {
  folder_.write("run/recipe.json", R"({"eval":{"shots":2},"model":{"hidden_size":8}})");
  folder_.write("run/metrics.jsonl",
                "{\"step\":1,\"loss\":1,\"flops\":1e12}\n"
                "{\"step\":1,\"eval.arc_easy_mc.acc\":0.3,\"eval.arc_easy_mc.acc_stderr\":0.1,"
                "\"eval.arc_easy_mc.acc_chance\":0.25}\n"
                "{\"step\":2,\"loss\":1,\"flops\":2e12}\n"
                "{\"step\":2,\"eval.arc_easy_mc.acc\":0.9,\"eval.arc_easy_mc.acc_stderr\":0.1,"
                "\"eval.arc_easy_mc.acc_chance\":0.25}\n");
  const auto scored = models();
  ASSERT_EQ(scored.size(), 2u);
  EXPECT_EQ(scored[1].step, std::optional<int64_t>(2));
  EXPECT_EQ(scored[1].flops, std::optional<double>(2e12));
  EXPECT_EQ(scored[1].shots, 2);
  ASSERT_EQ(scored[1].tasks.size(), 1u);
  EXPECT_EQ(scored[1].tasks[0].chance, std::optional<double>(0.25));
  EXPECT_EQ(scored[1].tasks[0].questions, std::optional<std::string>("arc_easy"));
  EXPECT_EQ(shown_scores(scored).size(), 1u);  // the last
  const auto ladders = ladders_of(scored);
  ASSERT_EQ(ladders.size(), 1u);
  EXPECT_EQ(ladders[0].from, std::optional<size_t>(1));
}

TEST_F(Ladders, ListWhatIsDamaged) {
  folder_.write("cut/results.json", "{");
  folder_.write("cut/receipt.json", "{}");
  const auto scored = models();
  ASSERT_EQ(scored.size(), 1u);
  EXPECT_NE(scored[0].note.find("results.json"), std::string::npos) << scored[0].note;
  EXPECT_TRUE(ladders_of(scored).empty());
  const std::string page = score_page(scored, {});
  EXPECT_NE(page.find("results.json"), std::string::npos);
}

// A model's manifest: its own FLOPs, and what it was made from.
void write_model(const TempFolder& folder, const std::string& name, const std::string& facts,
                 const std::vector<std::string>& from) {
  folder.write(name + "/config.json", "{}");
  Manifest manifest = new_manifest("model", "test");
  manifest.facts = facts;
  for (const std::string& each : from) add_input(manifest, folder / each, "model");
  write_manifest(manifest_path(folder / name, true), manifest);
}

TEST(TrainingFlops, AreThoseOfAllThatAModelWasMadeFrom) {
  TempFolder folder;
  write_model(folder, "base", R"({"steps":10,"flops":1e12})", {});
  write_model(folder, "tuned", R"({"steps":5,"flops":2e11})", {"base"});
  write_model(folder, "converted", "", {"tuned"});
  EXPECT_EQ(training_flops(folder / "base"), std::optional<double>(1e12));
  EXPECT_EQ(training_flops(folder / "converted"), std::optional<double>(1.2e12));
  folder.write("foreign/config.json", "{}");
  write_model(folder, "of_foreign", R"({"steps":5,"flops":2e11})", {"foreign"});
  EXPECT_EQ(training_flops(folder / "foreign"), std::nullopt);
  EXPECT_EQ(training_flops(folder / "of_foreign"), std::nullopt);
}

}  // namespace
}  // namespace lathe
