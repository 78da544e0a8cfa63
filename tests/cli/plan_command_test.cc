// lathe plan fit: the columns, the way to make it fit, and what it refuses.

#include "cli/demo_testing.h"
#include "lathe/train/presets.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

class PlanCommand : public AnswersRun {
 protected:
  CommandResult fit(const std::vector<std::string>& more) {
    std::vector<std::string> words = {"plan", "fit", model_folder("base", larger_config(), 5)};
    words.insert(words.end(), more.begin(), more.end());
    return run_lathe(words);
  }
};

TEST_F(PlanCommand, PrintsWhatEachWayTakes) {
  const CommandResult r = fit({"--json"});
  ASSERT_EQ(r.code, 0) << r.err;
  const Json plan = Json::parse(r.out);
  ASSERT_EQ(plan["ways"].size(), 3);
  std::vector<double> weights, gradients;
  for (const Json& way : plan["ways"]) {
    double sum = 0;
    for (const auto& [name, mib] : way["parts_mib"].items()) sum += mib.get<double>();
    EXPECT_NEAR(sum, way["total_mib"].get<double>(), 1e-6);
    EXPECT_TRUE(way["fits"].get<bool>());
    weights.push_back(way["parts_mib"]["weights"].get<double>());
    gradients.push_back(way["parts_mib"]["gradients"].get<double>());
  }
  EXPECT_GT(weights[0], weights[1]);
  EXPECT_GT(weights[1], weights[2]);
  EXPECT_GT(gradients[0], gradients[1]);
  EXPECT_EQ(plan["ways"][2]["recipe"][2], "model.quantization=nf4");
}

TEST_F(PlanCommand, EveryPresetCanBePlanned) {
  for (const TrainPreset& preset : train_presets()) {
    std::vector<std::string> words = {"--objective", std::string(preset.name)};
    if (preset.data.ends_with("reward needs"))
      words.emplace_back("--objective.max_completion_length=8");
    const CommandResult r = fit(words);
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_NE(r.out.find("LORA on NF4"), std::string::npos) << r.out;
    EXPECT_EQ(r.out.find("critic") != std::string::npos, preset.name == "ppo") << r.out;
  }
}

// The advice is a recipe that fits.
TEST_F(PlanCommand, SaysWhatMakesItFit) {
  const Json plan = Json::parse(fit({"--json"}).out);
  const double total = plan["ways"][0]["total_mib"].get<double>();
  const double activations = plan["ways"][0]["parts_mib"]["activations"].get<double>();
  const std::string memory = std::to_string((total - 0.7 * activations) / 1024);
  const Json less = Json::parse(fit({"--json", "--memory-gib", memory}).out)["ways"][0];
  EXPECT_FALSE(less["fits"].get<bool>());
  ASSERT_TRUE(less["to_fit"].is_array()) << less;
  std::vector<std::string> words = {"--json", "--memory-gib", memory};
  for (const Json& change : less["to_fit"]) words.push_back("--" + change.get<std::string>());
  EXPECT_TRUE(Json::parse(fit(words).out)["ways"][0]["fits"].get<bool>());

  const CommandResult none = fit({"--memory-gib", "0.001"});
  EXPECT_NE(none.out.find("does not fit, not even with shorter texts"), std::string::npos)
      << none.out;
}

// Neither reading the base nor beginning the adapter needs it as elements.
TEST_F(PlanCommand, FourBitsTakeLessFromTheBeginning) {
  const Json plan = Json::parse(fit({"--json", "--train.batch_size=1", "--train.seq_len=16"}).out);
  const auto total = [&](size_t way) { return plan["ways"][way]["total_mib"].get<double>(); };
  EXPECT_LT(total(2), total(1)) << plan;
}

// Before it takes shorter texts; of an adapter it would be next to nothing.
TEST_F(PlanCommand, PutsTheStateOfAnOptimiserOnDiskWhereItIsLarge) {
  const std::vector<std::string> smallest = {"--json", "--train.batch_size=1",
                                             "--train.recompute=full"};
  const Json plan = Json::parse(fit(smallest).out);
  for (const size_t way : {size_t{0}, size_t{1}}) {
    std::vector<std::string> words = smallest;
    const double total = plan["ways"][way]["total_mib"].get<double>();
    words.insert(words.end(), {"--memory-gib", std::to_string((total - 0.1) / 1024)});
    const Json advice = Json::parse(fit(words).out)["ways"][way]["to_fit"];
    ASSERT_TRUE(advice.is_array()) << advice;
    EXPECT_EQ(advice[0] == "optim.paged=true", way == 0) << advice;
  }
}

TEST_F(PlanCommand, RefusesWhatItCannotPlan) {
  const auto refusal = [&](const std::vector<std::string>& words) { return fit(words).err; };
  EXPECT_NE(refusal({"--objective", "dqo"}).find("Did you mean 'dpo'"), std::string::npos)
      << refusal({"--objective", "dqo"});
  EXPECT_NE(refusal({"--adapter", "lore"}).find("LORA"), std::string::npos)
      << refusal({"--adapter", "lore"});
  EXPECT_NE(refusal({"--optim.beta7=1"}).find("beta7"), std::string::npos);
  EXPECT_NE(run_lathe({"plan", "fit", (folder_ / "nowhere").string()}).err.find("nowhere"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
