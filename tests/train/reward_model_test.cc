// Reward models: the same numbers as a pass over the text alone, in the policy's ids or in words of its own.

#include "lathe/train/reward/reward_model.h"

#include "lathe/model/load_model.h"
#include "lathe/train/answers/answer_pass.h"
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

}  // namespace
}  // namespace lathe::testing
