// Reward models: the same numbers as a pass over the text alone, in the policy's ids or in words of its own.

#include "lathe/train/reward/reward_model.h"

#include "lathe/model/adapter/merge.h"
#include "lathe/model/load_model.h"
#include "lathe/model/scores.h"
#include "lathe/train/answers/answer_pass.h"
#include "lathe/train/memory_plan.h"
#include "train/answers_run.h"

namespace lathe::testing {
namespace {

class RewardModelOf : public AnswersRun {
 protected:
  RewardModelOf() : policy_(Tokenizer::from_json(sample_json({}), "sample")) {}

  static ModelConfig judge_config() {
    ModelConfig c = model_config("decoder", 1);
    c.initializer_range = 0.5;  // it has opinions
    return c;
  }
  // With a tokenizer of its own, of one more token.
  std::string other_judge(const std::string& name) {
    ModelConfig c = judge_config();
    c.vocab_size = kTokens + 1;
    std::string folder = model_folder(name, c, 8);
    SampleJson own;
    own.added = R"([{"id": 264, "content": "<|end|>", "special": true, "normalized": false,
                     "single_word": false, "lstrip": false, "rstrip": false}])";
    folder_.write(name + "/tokenizer.json", sample_json(own));
    return folder;
  }
  RewardModel judge(const std::string& folder) { return {folder, {.tokenizer = &policy_}, {}}; }

  // A pass over one text alone.
  static double score_of(const std::string& folder, const std::vector<int32_t>& ids) {
    const auto model = load_model(folder, {});
    Example example;
    example.prompt = ids;
    example.answers.emplace_back();
    const Example* only = &example;
    const AnswerBatch batch = make_answer_batch({&only, 1}, {.whole = true});
    return ValuePass(*model, {}, batch, ValuePass::Of::kSequences).values().at(0);
  }
  static std::vector<int32_t> joined(std::vector<int32_t> ids, const std::vector<int32_t>& more) {
    ids.insert(ids.end(), more.begin(), more.end());
    return ids;
  }

  struct Asked {
    std::string prompt, completion;
    bool ended;
  };
  const std::vector<Asked> asked_ = {
      {"the cat", " sat", true}, {"a", "", true}, {"abab the", "the the the the the", false}};
  const Tokenizer policy_;
};

TEST_F(RewardModelOf, ReadsThePolicysIdsWhereTheTokenizerIsTheSame) {
  const std::string folder = model_folder("judge", judge_config(), 8);
  const RewardModel model = judge(folder);
  EXPECT_TRUE(model.shares_ids());
  std::vector<std::vector<int32_t>> prompts, answers;
  for (const Asked& each : asked_) {
    prompts.push_back(policy_.encode(each.prompt));
    answers.push_back(policy_.encode(each.completion));
    if (each.ended) answers.back().push_back(kEnd);
  }
  const Json row = Json::object();
  std::vector<RewardInput> inputs;
  for (size_t i = 0; i < asked_.size(); ++i)
    inputs.push_back(
        {.row = row, .completion = "not read", .ids = answers[i], .prompt = prompts[i]});
  int64_t passes = 0;
  const std::vector<double> scores = model.scores(inputs, [&] { ++passes; });
  EXPECT_EQ(passes, 1);
  ASSERT_EQ(scores.size(), 3U);
  for (size_t i = 0; i < scores.size(); ++i)
    EXPECT_EQ(scores[i], score_of(folder, joined(prompts[i], answers[i]))) << i;
  EXPECT_NE(scores[0], scores[1]);
}

TEST_F(RewardModelOf, ReadsTheTextWhereItIsAnotherOne) {
  const std::string folder = other_judge("judge");
  const Tokenizer own = load_tokenizer(folder);
  const RewardModel model = judge(folder);
  EXPECT_FALSE(model.shares_ids());
  for (const Asked& each : asked_) {
    const Json words = {{"prompt", each.prompt}}, ids = {{"prompt_ids", {1}}};
    const std::vector<int32_t> prompt = policy_.encode(each.prompt);
    std::vector<int32_t> answer = own.encode(each.completion);
    if (each.ended && !answer.empty()) answer.push_back(kEnd);
    for (const Json& row : {words, ids}) {
      const RewardInput in{.row = row,
                           .completion = each.completion,
                           .ended = each.ended,
                           .prompt = prompt,
                           .place = "rows:1"};
      EXPECT_EQ(model.scores({&in, 1}, {}).at(0),
                score_of(folder, joined(own.encode(each.prompt), answer)))
          << row.dump();
    }
  }
}

TEST_F(RewardModelOf, ReadsMessagesThroughItsOwnTemplate) {
  const std::string folder = other_judge("judge");
  folder_.write("judge/chat_template.jinja",
                "{% for m in messages %}{{ m.role }}={{ m.content }}<|end|>{% endfor %}"
                "{% if add_generation_prompt %}assistant={% endif %}");
  const Json row = {{"prompt", Json::array({{{"role", "user"}, {"content", "the"}}})}};
  const RewardInput in{.row = row, .completion = "cab", .ended = true, .place = "rows:1"};
  EXPECT_EQ(judge(folder).scores({&in, 1}, {}).at(0),
            score_of(folder, load_tokenizer(folder).encode("user=the<|end|>assistant=cab<|end|>")));
}

TEST_F(RewardModelOf, RefusesWhatCannotJudge) {
  const auto refusal = [&](const std::string& folder) {
    return error_text([&] { judge(folder); });
  };
  const std::string language = model_folder("language", model_config("decoder"), 3);
  EXPECT_EQ(refusal(language),
            "[reward.model] " + language +
                " predicts tokens, but a reward model is a decoder with one score of a text "
                "(…ForSequenceClassification with one label); train one with lathe reward");
  const std::string three = model_folder("three", model_config("decoder", 3), 3);
  EXPECT_NE(refusal(three).find("has 3 labels"), std::string::npos) << refusal(three);
  ModelConfig small = judge_config();
  small.vocab_size = 100;
  small.eos_token_id = 99;
  small.decoder_start_token_id = 98;
  const std::string narrow = model_folder("narrow", small, 3);
  fs::remove(fs::path(narrow) / "tokenizer.json");
  EXPECT_EQ(refusal(narrow), "[reward.model] " + narrow +
                                 " has no tokenizer and reads 100 ids, but those of the policy's "
                                 "tokenizer go to 264; put the model's tokenizer into its folder");
  const std::vector<int32_t> long_prompt(60, 65), answer(5, 66);
  const Json row = Json::object();
  const RewardInput in{
      .row = row, .completion = "", .ids = answer, .prompt = long_prompt, .place = "rows:7"};
  const RewardModel model = judge(model_folder("judge", judge_config(), 8));
  const std::string text = error_text([&] { model.scores({&in, 1}, {}); });
  EXPECT_EQ(text.find("[rows:7] prompt and answer are 65 tokens for the reward model"), 0U) << text;
}

// In a run: beside a function that is only recorded.
TEST_F(RewardModelOf, JudgesTheAnswersOfARun) {
  Json tree = answers_tree({"grpo", "decoder"});
  const std::string folder = model_folder("judge", judge_config(), 8);
  tree["reward"]["model"] = {folder};
  tree["reward"]["weights"] = {0, 2};
  tree["train"]["steps"] = 2;
  train(read_recipe(tree));
  ASSERT_EQ(rollouts().size(), 16U);
  for (const Json& line : rollouts()) {
    const double score =
        score_of(folder, joined(line.at("prompt_ids").get<std::vector<int32_t>>(),
                                line.at("completion_ids").get<std::vector<int32_t>>()));
    EXPECT_EQ(line.at("rewards").at("model").get<double>(), score);
    EXPECT_EQ(line.at("reward").get<double>(), 2 * score);
    EXPECT_TRUE(line.at("rewards").contains("format"));
    EXPECT_EQ(line.at("reward_weights"), Json({0.0, 2.0}));
  }
  for (const Json& line : metrics()) {
    EXPECT_DOUBLE_EQ(line.at("reward").get<double>(),
                     2 * line.at("rewards/model/mean").get<double>());
    EXPECT_TRUE(line.contains("rewards/format/mean"));
    EXPECT_TRUE(line.contains("rewards/model/std"));
  }
}

// Reward models that are adapters above the policy's base.
class RewardAdapter : public RewardModelOf {
 protected:
  RewardAdapter() {
    Json tree = answers_tree({"reward", "decoder"});
    tree["model"] = {{"from", base_ = model_folder("base", base_config(), 5)}};
    tree["adapter"] = {{"peft_type", "LORA"}, {"target_modules", {"all-linear"}}};
    tree["train"].update({{"steps", 4}, {"out", (folder_ / "judged").string()}});
    tree["optim"]["lr"] = 0.05;
    train(read_recipe(tree));
    adapter_ = (folder_ / "judged" / "adapter").string();
  }
  static ModelConfig base_config() {
    ModelConfig c = model_config("decoder");
    c.model_type = "llama";
    c.initializer_range = 0.5;
    return c;
  }
  // PPO whose policy is an adapter of the base, too.
  Json ppo() {
    Json tree = answers_tree({"ppo", "decoder"});
    tree["objective"].erase("critic");
    tree["model"] = {{"from", base_ = model_folder("base", base_config(), 5)}};
    tree["adapter"] = {{"peft_type", "LORA"}, {"target_modules", {"all-linear"}}};
    tree["reward"] = {{"model", {adapter_}}};
    tree["optim"]["lr"] = 0.02;
    return tree;
  }
  std::string refusal(const Json& tree) {
    start_over();
    return error_text([&] { train(read_recipe(tree)); });
  }
  std::vector<double> scores(const RewardModel& model) const {
    const Json row = Json::object();
    std::vector<RewardInput> inputs;
    std::vector<std::vector<int32_t>> prompts, answers;
    for (const Asked& each : asked_) {
      prompts.push_back(policy_.encode(each.prompt));
      answers.push_back(policy_.encode(each.completion));
    }
    for (size_t i = 0; i < asked_.size(); ++i)
      inputs.push_back({.row = row, .completion = "", .ids = answers[i], .prompt = prompts[i]});
    return model.scores(inputs, {});
  }
  // The base with the adapter in its weights.
  std::string merged() {
    const auto base = load_model(base_, {});
    auto model = share_with_scores(*base, scores_of_adapter(adapter_), Rng(0));
    const std::shared_ptr<const Adapter> adapter = load_adapter(adapter_, *model);
    model = merge_adapters(std::move(model), {&adapter, 1});
    fs::create_directories(folder_ / "merged");
    save_model(*model, folder_ / "merged", {.like = base_});
    return (folder_ / "merged").string();
  }

  std::string base_, adapter_;
};

// A product with W + BA is rounded otherwise than the sum of the products with W and with B and A.
TEST_F(RewardAdapter, GivesTheScoresOfTheMergedModel) {
  const auto base = load_model(base_, {});
  const RewardModel shared(adapter_, {.tokenizer = &policy_, .from = base_, .base = base.get()},
                           {});
  const RewardModel own(adapter_, {.tokenizer = &policy_, .from = base_}, {});
  EXPECT_TRUE(shared.shares_ids());
  EXPECT_EQ(scores(shared), scores(own));
  const std::vector<double> got = scores(shared), wanted = scores(judge(merged()));
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], wanted[i], 1e-5 * (1 + std::abs(wanted[i]))) << i;
  EXPECT_GT(std::abs(got[0] - got[1]), 1e-3);
}

// Policy, reference, reward model and critic are one base and three adapters.
TEST_F(RewardAdapter, JudgesAboveTheBaseOfThePolicy) {
  const Recipe r = read_recipe(ppo());
  expect_same_bits_from_every_step(r, 2);
  const RewardModel alone(adapter_, {.tokenizer = &policy_, .from = base_}, {});
  const std::vector<Json> lines = rollouts();
  ASSERT_EQ(lines.size(), 48U);
  for (const Json& line : lines) {
    const auto prompt = line.at("prompt_ids").get<std::vector<int32_t>>(),
               answer = line.at("completion_ids").get<std::vector<int32_t>>();
    const Json row = Json::object();
    const RewardInput in{.row = row, .completion = "", .ids = answer, .prompt = prompt};
    EXPECT_EQ(line.at("reward").get<double>(), alone.scores({&in, 1}, {}).at(0));
  }
}

TEST_F(RewardAdapter, TakesNoMemoryOfABase) {
  const auto taken = [&](const Json& tree) {
    const Recipe recipe = read_recipe(tree);
    int64_t bytes = 0;
    for (const MemoryPart& part : plan_memory(recipe, longest_examples(recipe), 1).parts)
      if (part.name == "reward models") bytes += part.bytes;
    return bytes;
  };
  const auto file =
      static_cast<int64_t>(fs::file_size(fs::path(adapter_) / "adapter_model.safetensors"));
  const auto whole = static_cast<int64_t>(fs::file_size(fs::path(base_) / "model.safetensors"));
  Json tree = ppo();
  EXPECT_GT(taken(tree), file / 2);
  EXPECT_LT(taken(tree), file + 4096);
  // A policy that trains all of its model changes what the adapter was made for: it has its own.
  tree.erase("adapter");
  EXPECT_GT(taken(tree), whole - 64 * kTokens * 4);
  tree["train"]["steps"] = 1;
  start_over();
  train(read_recipe(tree));
}

TEST_F(RewardAdapter, ActsOnABaseInFourBits) {
  Json tree = ppo();
  tree["model"]["quantization"] = "nf4";
  tree["train"]["steps"] = 1;
  start_over();
  train(read_recipe(tree));
  for (const Json& line : rollouts()) EXPECT_TRUE(std::isfinite(line.at("reward").get<double>()));
}

TEST_F(RewardAdapter, RefusesAnotherBase) {
  Json tree = ppo();
  const std::string other = model_folder("other", base_config(), 6);
  tree["model"]["from"] = other;
  EXPECT_EQ(refusal(tree), "[reward.model] " + adapter_ + " is an adapter of " + base_ +
                               ", but the run starts from " + other +
                               ", another model; make a model of its own of it with `lathe merge " +
                               base_ + " --adapter " + adapter_ + " --out DIR`, and give that DIR");
  tree["reward"]["model"] = {merged()};  // as it says
  EXPECT_EQ(refusal(tree), "no error");

  // A copy is the same model, with other names of files beside its weights.
  fs::copy(base_, folder_ / "copy");
  folder_.write("copy/README.md", "a copy");
  tree["model"]["from"] = (folder_ / "copy").string();
  tree["reward"]["model"] = {adapter_};
  EXPECT_EQ(refusal(tree), "no error");
  EXPECT_EQ(log_.find("not here to be compared"), std::string::npos) << log_;
  // So it may be, of one that has gone.
  fs::rename(folder_ / "base", folder_ / "moved");
  EXPECT_EQ(refusal(tree), "no error");
  EXPECT_NE(
      log_.find("says that it was made for '" + base_ + "', which is not here to be compared"),
      std::string::npos)
      << log_;
}

TEST_F(RewardAdapter, RefusesWhatGivesNoScore) {
  Json tree = ppo();
  tree["train"]["steps"] = 1;
  train(read_recipe(tree));
  fs::rename(out() / "adapter", folder_ / "policy");
  fs::rename(out() / "critic", folder_ / "value");
  tree["reward"]["model"] = {(folder_ / "policy").string()};
  EXPECT_EQ(refusal(tree),
            "[reward.model] " + (folder_ / "policy").string() +
                " is an adapter with no score of a text, but a reward model gives one "
                "(score.weight, in modules_to_save); train one with lathe reward MODEL "
                "DATA --adapter.peft_type=LORA");
  tree["reward"]["model"] = {adapter_};
  tree["objective"]["critic"] = (folder_ / "value").string();
  EXPECT_EQ(refusal(tree), "no error");
  tree["model"]["from"] = model_folder("other", base_config(), 6);
  tree["reward"] = {{"functions", {"ended"}}};
  EXPECT_NE(refusal(tree).find("[objective.critic] " + (folder_ / "value").string() +
                               " is an adapter of " + base_),
            std::string::npos)
      << refusal(tree);
  // It is no adapter of a model that predicts tokens.
  const auto base = load_model(base_, {});
  EXPECT_NE(error_text([&] { load_adapter(adapter_, *base); })
                .find("the adapter gives scores in place of the next token, but this model (llama) "
                      "predicts tokens; make a model of both with lathe merge, or"),
            std::string::npos);
}

}  // namespace
}  // namespace lathe::testing
