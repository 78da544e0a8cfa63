// Rollouts beyond the plain step: groups that are drawn until they tell something, answers that were cut, the
// adaptive KL of PPO and its text of pretraining.

#include <cmath>
#include <set>

#include "lathe/train/objective/rollout_config.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

class Rollouts : public AnswersRun {
 protected:
  // Answers of one token, of which one in sixty or so is rewarded: few groups of four differ.
  Json sampling_tree() {
    Json tree = answers_tree({"grpo", "decoder"});
    tree["objective"]["max_completion_length"] = 1;
    tree["objective"]["dynamic_sampling"] = true;
    tree["reward"] = {{"functions", {"format"}}, {"pattern", "[A-D]"}};
    return tree;
  }
  // Of 266 tokens that are about as likely, so that one in two answers ends within 200.
  static ModelConfig ending_config() {
    ModelConfig c = model_config("decoder");
    c.max_position_embeddings = 256;
    return c;
  }
  // A pretraining's shard of this tokenizer.
  std::string text_shard() {
    Documents documents;
    for (int d = 0; d < 40; ++d) documents.emplace_back(13, 65 + d % 2);
    return write_shard(folder_ / "text", documents, kTokens);
  }
  std::string refusal(const char* objective, const char* patch) {
    Json tree = answers_tree({objective, "decoder"});
    tree.merge_patch(Json::parse(patch));
    start_over();
    return error_text([&] { train(read_recipe(tree)); });
  }
};

using Group = std::pair<int64_t, int64_t>;  // step, group
std::map<Group, std::set<double>> rewards_of_groups(const std::vector<Json>& lines) {
  std::map<Group, std::set<double>> rewards;
  for (const Json& line : lines)
    rewards[{line.at("step").get<int64_t>(), line.at("group").get<int64_t>()}].insert(
        line.at("reward").get<double>());
  return rewards;
}

TEST_F(Rollouts, GroupsOfEqualWorthAreCounted) {
  Json tree = answers_tree({"grpo", "decoder"});
  tree["objective"]["max_completion_length"] = 1;
  train(read_recipe(tree));
  const auto rewards = rewards_of_groups(rollouts());
  double some = 0;
  for (const Json& line : metrics()) {
    const int64_t step = line.at("step").get<int64_t>();
    double equal = 0;
    for (int64_t group = 0; group < 2; ++group)
      equal += rewards.at({step, group}).size() == 1 ? 1 : 0;
    EXPECT_EQ(line.at("frac_reward_zero_std").get<double>(), equal / 2) << step;
    EXPECT_EQ(line.at("sampling/groups").get<double>(), 2);
    some += equal;
  }
  EXPECT_GT(some, 0);
  EXPECT_LT(some, 12);
}

TEST_F(Rollouts, DynamicSamplingDrawsUntilTheStepIsFull) {
  Json tree = sampling_tree();
  tree["objective"]["max_num_gen_batches"] = 200;
  train(read_recipe(tree));
  const auto rewards = rewards_of_groups(rollouts());
  std::map<int64_t, int64_t> learnt;
  for (const Json& line : rollouts()) {
    const Group group{line.at("step").get<int64_t>(), line.at("group").get<int64_t>()};
    const bool filtered = line.value("filtered", false);
    EXPECT_EQ(filtered, rewards.at(group).size() == 1) << line.dump();
    if (filtered) {
      EXPECT_EQ(line.at("advantage").get<double>(), 0);
    }
    learnt[group.first] += filtered ? 0 : 1;
  }
  int64_t drawn = 0;
  for (const Json& line : metrics()) {
    const auto step = line.at("step").get<int64_t>();
    EXPECT_EQ(learnt[step], 8) << step;
    const auto groups = line.at("sampling/groups").get<int64_t>();
    EXPECT_EQ(line.at("frac_reward_zero_std").get<double>(),
              static_cast<double>(groups - 2) / static_cast<double>(groups));
    drawn += groups;
  }
  EXPECT_GT(drawn, 2 * 6 + 4);
  EXPECT_EQ(log_.find("max_num_gen_batches"), std::string::npos) << log_;
}

TEST_F(Rollouts, DynamicSamplingGoesOnWithTheNextPrompts) {
  Json tree = sampling_tree();
  tree["data"]["order"] = "sequential";
  tree["objective"]["max_num_gen_batches"] = 3;
  expect_same_bits_from_every_step(read_recipe(tree));
  // Each prompt in the order of the file, none twice before the last.
  std::vector<Json> prompts;
  std::ifstream in(folder_ / "rows.jsonl");
  for (std::string line; std::getline(in, line);)
    prompts.push_back(Json::parse(line).at("prompt_ids"));
  Group last{0, -1};
  size_t next = 0;
  for (const Json& line : rollouts()) {
    const Group group{line.at("step").get<int64_t>(), line.at("group").get<int64_t>()};
    next += group != last ? 1 : 0;
    last = group;
    EXPECT_EQ(line.at("prompt_ids"), prompts[(next - 1) % prompts.size()]) << line.dump();
  }
  EXPECT_GT(next, 12U);
}

TEST_F(Rollouts, AStepWithoutAnyDifferenceLearnsNothingAndSaysSo) {
  Json tree = sampling_tree();
  tree["reward"]["pattern"] = "no such answer";
  tree["objective"]["max_num_gen_batches"] = 2;
  train(read_recipe(tree));
  for (const Json& line : metrics()) {
    EXPECT_EQ(line.at("grad_norm").get<double>(), 0);
    EXPECT_EQ(line.at("sampling/groups").get<double>(), 4);
    EXPECT_EQ(line.at("frac_reward_zero_std").get<double>(), 1);
  }
  EXPECT_NE(
      log_.find(
          "step 1: 0 of 2 groups have answers of different worth after 2 draws "
          "(objective.max_num_gen_batches), so that nothing is learnt; the prompts are too easy or too "
          "hard for the model, or the reward cannot tell its answers apart\n"),
      std::string::npos)
      << log_;
  EXPECT_NE(log_.find("step 5"), std::string::npos);
  EXPECT_EQ(log_.find("step 6: 0"), std::string::npos) << log_;
}

// Half of the answers end: those that do not count in their group's mean, and in no loss.
TEST_F(Rollouts, AnswersThatWereCutAreMasked) {
  for (const char* loss : {"grpo", "dapo"}) {
    Json tree = answers_tree({"grpo", "decoder"});
    tree["objective"]["mask_truncated_completions"] = true;
    tree["objective"]["loss"] = loss;
    tree["objective"]["max_completion_length"] = 200;
    tree["reward"] = {{"functions", {"length_band"}}, {"length_max", 100}};
    tree["model"]["from"] = model_folder("ends", ending_config(), 5);
    tree["train"]["steps"] = 1;
    start_over();
    train(read_recipe(tree));
    double expected = 0, tokens = 0, cut = 0;
    for (const Json& line : rollouts()) {
      const bool ended = line.at("ended").get<bool>();
      const auto advantage = line.at("advantage").get<double>();
      const auto length = static_cast<double>(line.at("completion_ids").size());
      cut += ended ? 0 : 1;
      if (!ended) {
        EXPECT_EQ(advantage, 0);
      }
      expected -=
          std::string(loss) == "grpo" ? advantage / 8 : advantage * length * (ended ? 1 : 0);
      tokens += ended ? length : 0;
    }
    ASSERT_GT(cut, 0);
    ASSERT_LT(cut, 8);
    if (std::string(loss) == "dapo") expected /= tokens;
    EXPECT_NEAR(metrics()[0].at("loss").get<double>(), expected, 1e-5) << loss;
  }
}

TEST_F(Rollouts, AStepOfCutAnswersLearnsNothing) {
  Json tree = answers_tree({"grpo", "decoder"});
  tree["objective"]["mask_truncated_completions"] = true;
  tree["objective"]["max_completion_length"] = 1;
  tree["train"]["steps"] = 3;
  train(read_recipe(tree));
  bool some = false;
  for (const Json& line : metrics()) {
    EXPECT_TRUE(std::isfinite(line.at("loss").get<double>()));
    if (line.at("completions/clipped_ratio").get<double>() < 1) continue;
    some = true;
    EXPECT_EQ(line.at("grad_norm").get<double>(), 0);
  }
  EXPECT_TRUE(some);
}

TEST(KlControl, MovesTowardsItsTarget) {
  const KlControl control{.initial = 0.2, .target = 6, .horizon = 10000};
  EXPECT_DOUBLE_EQ(control.next(0.2, 6, 64), 0.2);
  EXPECT_DOUBLE_EQ(control.next(0.2, 6.6, 64), 0.2 * (1 + 0.1 * 64 / 10000));
  EXPECT_DOUBLE_EQ(control.next(0.2, 60, 64), 0.2 * (1 + 0.2 * 64 / 10000));
  EXPECT_DOUBLE_EQ(control.next(0.2, -3, 64), 0.2 * (1 - 0.2 * 64 / 10000));
}

TEST_F(Rollouts, ThePenaltyOfPpoFollowsItsTarget) {
  Json tree = answers_tree({"ppo", "decoder"});
  tree["objective"].update({{"target_kl", 0.01}, {"horizon", 16}, {"kl_coef", 0.3}});
  tree["optim"]["lr"] = 0.05;
  expect_same_bits_from_every_step(read_recipe(tree));
  const KlControl control{.initial = 0.3, .target = 0.01, .horizon = 16};
  double coefficient = 0.3;
  for (const Json& line : metrics()) {
    EXPECT_DOUBLE_EQ(line.at("kl_coef").get<double>(), coefficient);
    coefficient = control.next(coefficient, line.at("kl").get<double>(), 8);
  }
  EXPECT_NE(coefficient, 0.3);
}

TEST_F(Rollouts, PpoGoesOnLearningText) {
  Json tree = answers_tree({"ppo", "decoder"});
  tree["objective"].update(
      {{"ptx_coef", 5.0}, {"ptx_data", {text_shard()}}, {"ptx_batch_size", 2}});
  tree["train"]["seq_len"] = 12;
  tree["optim"]["lr"] = 0.02;
  expect_same_bits_from_every_step(read_recipe(tree));
  const auto loss = [&](size_t line) { return metrics().at(line).at("ptx_loss").get<double>(); };
  EXPECT_LT(loss(5), loss(0) - 0.5);
  // Without weight it is not learnt, and it counts in the loss as it is weighed.
  const double first = loss(0), all = metrics()[0].at("loss").get<double>();
  tree["objective"]["ptx_coef"] = 1e-9;
  start_over();
  train(read_recipe(tree));
  EXPECT_NEAR(loss(0), first, 1e-5);
  EXPECT_NEAR(metrics()[0].at("loss").get<double>() + 5 * first, all, 1e-4);
  EXPECT_GT(loss(5), first - 0.3);
}

TEST_F(Rollouts, AnAdapterLearnsTextToo) {
  Json tree = answers_tree({"ppo", "decoder"}, "llama");
  tree["adapter"] = {{"peft_type", "LORA"}, {"r", 2}, {"target_modules", "all-linear"}};
  tree["objective"].update({{"ptx_coef", 5.0}, {"ptx_data", {text_shard()}}});
  tree["train"]["seq_len"] = 12;
  tree["optim"]["lr"] = 0.05;
  train(read_recipe(tree));
  EXPECT_LT(metrics()[5].at("ptx_loss").get<double>(),
            metrics()[0].at("ptx_loss").get<double>() - 0.1);
}

// A group is compared within one micro-batch, also where an answer of another one was not judged.
TEST_F(Rollouts, OnlineDpoKeepsGroupsTogether) {
  Json tree = answers_tree({"online_dpo", "decoder"});
  tree["train"].update({{"steps", 2}, {"batch_size", 4}, {"grad_accumulation", 3}});
  tree["objective"]["num_generations"] = 4;
  tree["reward"] = {
      {"command", "n=0; while read -r a; do n=$((n+1)); [ $n = 3 ] && echo nan || echo $n; done"}};
  train(read_recipe(tree));
  int failed = 0;
  std::map<Group, double> balance;
  for (const Json& line : rollouts()) {
    failed += line.value("failed", false) ? 1 : 0;
    balance[{line.at("step").get<int64_t>(), line.at("group").get<int64_t>()}] +=
        line.at("advantage").get<double>();
  }
  EXPECT_GE(failed, 1);
  EXPECT_EQ(balance.size(), 6U);
  for (const auto& [group, sum] : balance) EXPECT_EQ(sum, 0) << group.first << " " << group.second;
  EXPECT_NE(
      refusal("online_dpo", R"({"train": {"batch_size": 2, "grad_accumulation": 4}})")
          .find("[train.batch_size] 2 answers of a micro-batch are no whole number of groups of 4"),
      std::string::npos);
  EXPECT_NE(refusal("online_dpo", R"({"objective": {"num_generations": 1}})")
                .find("[objective.num_generations] a pair needs two answers"),
            std::string::npos);
}

TEST_F(Rollouts, DataWithoutEffectIsRefused) {
  const auto expect = [&](const char* patch, const char* want) {
    const std::string text = refusal("grpo", patch);
    EXPECT_NE(text.find(want), std::string::npos) << text;
  };
  expect(
      R"({"data": {"packing": true}})",
      "[data.packing] grpo learns from answers that it draws itself, each in a sequence of its own; leave it "
      "out, and set train.batch_size");
  expect(
      R"({"data": {"truncation_mode": "keep_start"}})",
      "[data.truncation_mode] grpo learns from answers that it draws itself, so that a row has no answer");
  expect(R"({"data": {"truncation_mode": "keep_end"}})", "no error");
  expect(
      R"({"data": {"mask_history": true}})",
      "[data.mask_history] says which answers of a conversation are learnt, but grpo learns from answers "
      "that it draws itself; leave it out");
  expect(
      R"({"train": {"sample_every": 5}})",
      "[train.sample_every] grpo learns from prompts and answers, of which its run writes no samples");
  expect(
      R"({"train": {"keep_best": true}})",
      "[train.keep_best] goes by the validation loss, and nothing is validated on; set data.valid, or "
      "leave it out");
}

TEST_F(Rollouts, KeysWithoutEffectAreRefused) {
  const auto expect = [&](const char* objective, const char* keys, const char* want) {
    const std::string text =
        refusal(objective, (std::string(R"({"objective": )") + keys + "}").c_str());
    EXPECT_NE(text.find(want), std::string::npos) << text;
  };
  expect("grpo", R"({"max_num_gen_batches": 3})",
         "[objective.max_num_gen_batches] without dynamic_sampling every step draws once");
  expect("rloo", R"({"max_num_gen_batches": 3})",
         "[objective.max_num_gen_batches] without dynamic_sampling every step draws once");
  expect("grpo",
         R"({"multi_objective_aggregation": "normalize_then_sum", "scale_rewards": "none"})",
         "[objective.scale_rewards] normalize_then_sum divides each part");
  expect("ppo", R"({"dynamic_sampling": true})", "unknown key 'dynamic_sampling'");
  expect("ppo", R"({"horizon": 5})", "[objective.horizon] without target_kl");
  expect("ppo", R"({"target_kl": 5, "kl_coef": 0})", "[objective.kl_coef] target_kl multiplies it");
  expect("ppo", R"({"ptx_coef": 5})", "[objective.ptx_data] ptx_coef weighs the loss on text");
  expect("ppo", R"({"ptx_data": ["x"]})",
         "[objective.ptx_data] nothing reads it while ptx_coef is 0");
  expect("grpo", R"({"reference": "x"})",
         "[objective.reference] nothing reads it without beta above 0");
  expect("rloo", R"({"reference": "x"})",
         "[objective.reference] nothing reads it without beta above 0");
  expect("grpo", R"({"use_bias_correction_kl": true})",
         "[objective.use_bias_correction_kl] nothing reads it without beta above 0");
  expect("grpo", R"({"loss": "sapo", "epsilon": 0.1})",
         "[objective.epsilon] nothing reads it without");
  expect("grpo", R"({"loss": "cispo", "epsilon": 0.1, "epsilon_high": 4})",
         "[objective.epsilon] nothing reads it without another loss than cispo");
  expect("grpo", R"({"loss": "vespo", "epsilon_high": 0.1})",
         "[objective.epsilon_high] nothing reads it without a loss that bounds the ratio");
  expect("grpo", R"({"loss": "cispo", "delta": 2})",
         "[objective.delta] nothing reads it without a loss that clips");
  expect("grpo", R"({"loss": "vespo", "importance_sampling_level": "sequence"})",
         "[objective.importance_sampling_level] nothing reads it without another loss than vespo");
  for (const char* key : {"sapo_temperature_pos", "sapo_temperature_neg"})
    expect("grpo", fmt::format(R"({{"{}": 4}})", key).c_str(),
           fmt::format("[objective.{}] nothing reads it without loss = \"sapo\"; set that, or", key)
               .c_str());
  for (const char* key : {"vespo_k_pos", "vespo_lambda_pos", "vespo_k_neg", "vespo_lambda_neg"})
    expect("grpo", fmt::format(R"({{"{}": 4, "loss": "sapo"}})", key).c_str(),
           fmt::format("[objective.{}] nothing reads it without loss = \"vespo\"", key).c_str());
  // What the errors advise is accepted.
  for (const char* keys :
       {R"({"loss": "sapo", "sapo_temperature_pos": 4})", R"({"loss": "vespo", "vespo_k_pos": 4})",
        R"({"loss": "cispo", "epsilon_high": 4})", R"({"delta": 2, "epsilon": 0.1})",
        R"({"loss": "vespo", "importance_sampling_level": "sequence", "beta": 0.1,
            "use_bias_correction_kl": true})"})
    expect("grpo", keys, "no error");
  expect("ppo", R"({"ptx_batch_size": 4})",
         "[objective.ptx_batch_size] nothing reads it while ptx_coef is 0");
  EXPECT_NE(
      refusal("grpo", R"({"reward": {"functions": ["soft_overlong"], "pattern": null,
                                           "max_completion_len": 20, "soft_punish_cache": 10}})")
          .find(
              "[reward.max_completion_len] soft_overlong punishes answers of more than 10 tokens, but "
              "objective.max_completion_length lets none become longer than 3"),
      std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
