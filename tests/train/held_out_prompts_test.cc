// data.valid of runs that learn from their own answers.

#include "lathe/train/task/held_out_prompts.h"

#include "train/answers_run.h"

namespace lathe::testing {
namespace {

class HeldOut : public AnswersRun {
 protected:
  Json held_out_tree(const char* objective = "grpo") {
    Json tree = answers_tree({objective, "decoder"});
    tree["data"]["valid"] = rows_of("valid.jsonl", 11);
    tree["train"].update({{"eval_every", 2}, {"eval_on_start", true}, {"eval_samples", 0}});
    return tree;
  }
  std::string rows_of(const std::string& name, int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
      text += Json{{"prompt_ids", {65 + i, 80 - i}}, {"answer", "AA"}}.dump() + "\n";
    return folder_.write(name, text).string();
  }
  std::vector<Json> lines(const char* file) const {
    std::vector<Json> all;
    std::ifstream in(out() / file);
    for (std::string line; std::getline(in, line);) all.push_back(Json::parse(line));
    return all;
  }
  std::map<int64_t, Json> validations() const {
    std::map<int64_t, Json> all;
    for (const Json& line : lines("metrics.jsonl"))
      if (line.contains("val_loss")) all[line.at("step")] = line;
    return all;
  }
  std::string refusal(const char* patch) {
    Json tree = held_out_tree();
    tree.merge_patch(Json::parse(patch));
    start_over();
    return error_text([&] { train(read_recipe(tree)); });
  }
};

TEST_F(HeldOut, AreAnsweredBeforeDuringAndAfter) {
  train(read_recipe(held_out_tree()));
  const auto found = validations();
  ASSERT_EQ(found.size(), 4U);
  std::map<int64_t, double> rewards, lengths;
  std::map<int64_t, std::vector<int64_t>> groups;
  for (const Json& line : lines(kHeldOutRolloutsFile)) {
    const auto step = line.at("step").get<int64_t>();
    rewards[step] += line.at("reward").get<double>() / 11;
    lengths[step] += static_cast<double>(line.at("completion_ids").size()) / 11;
    groups[step].push_back(line.at("group"));
    EXPECT_FALSE(line.contains("advantage"));
  }
  for (const int64_t step : {0, 2, 4, 6}) {
    const Json& record = found.at(step);
    EXPECT_DOUBLE_EQ(record.at("val_reward").get<double>(), rewards.at(step)) << step;
    EXPECT_DOUBLE_EQ(record.at("val_loss").get<double>(), -rewards.at(step));
    EXPECT_DOUBLE_EQ(record.at("val_completions/mean_length").get<double>(), lengths.at(step));
    EXPECT_EQ(record.at("val_rewards/format/mean"), record.at("val_reward"));
    std::vector<int64_t> all(11);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(groups.at(step), all);
  }
}

// Neither what is learnt nor what is drawn for it depends on being measured.
TEST_F(HeldOut, ChangeNothing) {
  Json tree = held_out_tree();
  train(read_recipe(tree));
  const auto rollouts = lines("rollouts.jsonl");
  tree["data"].erase("valid");
  tree["train"].erase("eval_on_start");
  start_over();
  train(read_recipe(tree));
  EXPECT_EQ(lines("rollouts.jsonl"), rollouts);
}

TEST_F(HeldOut, GoOnToTheSameBits) {
  const Recipe r = read_recipe(held_out_tree());
  train(r);
  const std::string unbroken = content_of(out() / kHeldOutRolloutsFile);
  start_over();
  expect_same_bits_from_every_step(r);
  EXPECT_EQ(content_of(out() / kHeldOutRolloutsFile), unbroken);
}

// Killed between its answers and its line in the metrics: it is measured again, not twice.
TEST_F(HeldOut, AValidationThatWasCutShortIsDoneAgain) {
  const Recipe r = read_recipe(held_out_tree());
  train(r);
  const std::string unbroken = content_of(out() / kHeldOutRolloutsFile);
  const std::string cut = unbroken.substr(0, unbroken.rfind("\"step\"") + 30);
  std::ofstream(out() / kHeldOutRolloutsFile) << cut;
  std::string metrics;
  for (const Json& line : lines("metrics.jsonl"))
    if (!line.contains("val_loss") || line.at("step") != 6) metrics += line.dump() + "\n";
  std::ofstream(out() / "metrics.jsonl") << metrics;
  fs::remove_all(out() / "model");
  train(r, TrainLoop::Start::kResume);
  EXPECT_EQ(content_of(out() / kHeldOutRolloutsFile), unbroken);
  EXPECT_EQ(validations().size(), 4U);
}

// Also where they do not fit into one draw: a step has 8 rollouts.
TEST_F(HeldOut, SeveralAnswersToAPromptAreDrawn) {
  Json tree = held_out_tree();
  tree["objective"].update({{"num_generations_eval", 3}, {"temperature_eval", 1.0}});
  train(read_recipe(tree));
  std::map<int64_t, std::set<Json>> answers;
  size_t count = 0;
  for (const Json& line : lines(kHeldOutRolloutsFile))
    if (line.at("step") == 0) ++count, answers[line.at("group")].insert(line.at("completion_ids"));
  EXPECT_EQ(count, 33U);
  EXPECT_EQ(answers.size(), 11U);
  size_t different = 0;
  for (const auto& [group, set] : answers) different += set.size();
  EXPECT_GT(different, 25U);
}

TEST_F(HeldOut, SetsAreCountedApart) {
  Json tree = held_out_tree();
  tree["data"]["valid"] = {"many=" + rows_of("many.jsonl", 9), "few=" + rows_of("few.jsonl", 2)};
  tree["train"]["eval_samples"] = 5;
  train(read_recipe(tree));
  std::map<std::string, int> count;
  for (const Json& line : lines(kHeldOutRolloutsFile))
    if (line.at("step") == 0) ++count[line.at("set")];
  EXPECT_EQ(count, (std::map<std::string, int>{{"many", 5}, {"few", 2}}));
  const Json first = validations().at(0);
  EXPECT_EQ(first.at("val_reward.many"), first.at("val_reward"));
  EXPECT_TRUE(first.contains("val_reward.few"));
}

// The best step is the one with the highest reward, and waiting counts from there.
TEST_F(HeldOut, TheBestIsTheHighestReward) {
  Json tree = held_out_tree();
  tree["train"].update({{"keep_best", true}, {"eval_every", 1}, {"steps", 12}});
  tree["optim"]["lr"] = 0.1;
  tree["objective"].update(
      {{"max_completion_length", 1}, {"num_generations_eval", 4}, {"temperature_eval", 1.0}});
  train(read_recipe(tree));
  int64_t best = 0;
  double highest = -1;
  for (const auto& [step, line] : validations())
    if (const auto reward = line.at("val_reward").get<double>(); reward > highest)
      highest = reward, best = step;
  ASSERT_GT(best, 0);
  EXPECT_EQ(fs::read_symlink(out() / "checkpoints/best").filename(), checkpoint(best).filename());
}

TEST_F(HeldOut, WhatHasNoEffectIsRefused) {
  EXPECT_NE(
      refusal(R"({"objective": {"num_generations_eval": 2}})")
          .find(
              "[objective.num_generations_eval] at a temperature of 0 all answers to a prompt are "
              "the same; set temperature_eval, or leave it out"),
      std::string::npos);
  EXPECT_NE(
      refusal(R"({"data": {"valid": null}})")
          .find("[train.eval_on_start] there is nothing to validate on; set data.valid, or leave "
                "it out"),
      std::string::npos);
  EXPECT_NE(
      refusal(
          R"({"data": {"valid": null}, "train": {"eval_on_start": false}, "objective": {"temperature_eval": 1}})")
          .find("[objective.temperature_eval] there are no held-out prompts; name a file of them "
                "in data.valid, or leave the key out"),
      std::string::npos);
}

TEST_F(HeldOut, AVerifierThatFailsIsNamed) {
  const std::string text = refusal(
      R"({"reward": {"functions": null, "pattern": null,
                     "command": "while read -r a; do case $a in *AA*) echo nan;; *) echo $((n+=1));; esac; done"}})");
  EXPECT_NE(text.find("gave no finite number for 11 of the 11 rollouts of data.valid"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace lathe::testing
