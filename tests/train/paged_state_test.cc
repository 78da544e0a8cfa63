// Optimiser state on disk: the same bits, in full tuning, through adapters and of a critic, and less memory.

#include "lathe/train/memory_plan.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

class PagedState : public AnswersRun {
 protected:
  // That paging changes nothing, and that a run goes on from every step as if it had not stopped.
  void expect_same_bits(Json tree) {
    train(read_recipe(tree));
    const auto plain = everything();
    start_over();
    fs::remove_all(folder_ / "unbroken");
    tree["optim"]["paged"] = true;
    expect_same_bits_from_every_step(read_recipe(tree), 2);
    EXPECT_EQ(everything(), plain);
    EXPECT_EQ(names_in(out()), names_in(folder_ / "unbroken"));
    // It may come and go when a run is continued.
    fs::remove_all(checkpoint(6));
    fs::remove_all(out() / (tree.contains("adapter") ? "adapter" : "model"));
    tree["optim"]["paged"] = false;
    train(read_recipe(tree), TrainLoop::Start::kResume);
    EXPECT_EQ(everything(), plain);
    start_over();
  }
  static std::set<std::string> names_in(const fs::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder))
      names.insert(entry.path().filename().string());
    return names;
  }
};

TEST_F(PagedState, IsThatOfAFullTuning) {
  for (const OptimizerEntry& o : optimizers()) {
    Json tree = answers_tree({"sft", "decoder"});
    tree["optim"]["name"] = std::string(o.name);
    expect_same_bits(tree);
  }
}

TEST_F(PagedState, IsThatOfAnAdapterOnFourBits) {
  Json tree = answers_tree({"dpo", "decoder"});
  tree["adapter"] = {{"peft_type", "LORA"}, {"target_modules", {"all-linear"}}};
  tree["model"]["quantization"] = "nf4";
  expect_same_bits(tree);
}

TEST_F(PagedState, IsThatOfACritic) { expect_same_bits(answers_tree({"ppo", "decoder"})); }

TEST_F(PagedState, IsPlanned) {
  Json tree = answers_tree({"sft", "decoder"});
  tree["model"]["from"] = model_folder("larger", larger_config(), 5);
  const auto planned = [&](bool paged) {
    tree["optim"]["paged"] = paged;
    const MemoryPlan plan = plan_memory(read_recipe(tree), {}, 2);
    double state = 0;
    for (const MemoryPart& part : plan.parts)
      if (part.name == "optimiser state") state = static_cast<double>(part.bytes);
    return std::pair(static_cast<double>(plan.total()), state);
  };
  const auto [plain, all] = planned(false);
  const auto [paged, some] = planned(true);
  EXPECT_GT(all, 8e6);
  EXPECT_LE(some, all);
  EXPECT_LT(paged, plain - 0.3 * all);
  EXPECT_FALSE(fs::exists(out()));  // nothing is written for a plan
}

TEST_F(PagedState, NeedsAFolderThatIsThere) {
  Json tree = answers_tree({"sft", "decoder"});
  tree["optim"]["paged_dir"] = (folder_ / "none").string();
  const auto refusal = [&] { return error_text([&] { train(read_recipe(tree)); }); };
  EXPECT_EQ(refusal(), "[optim.paged_dir] there is no folder " + (folder_ / "none").string() +
                           "; make it, or name another");
  fs::create_directories(folder_ / "none");
  EXPECT_EQ(
      refusal().find("[optim.paged_dir] the state of the optimiser is in memory; set optim.paged"),
      0U);
  start_over();
  tree["optim"]["paged"] = true;
  EXPECT_EQ(refusal(), "no error");
}

}  // namespace
}  // namespace lathe::testing
