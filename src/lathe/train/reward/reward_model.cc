#include "lathe/train/reward/reward_model.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "lathe/base/error.h"
#include "lathe/model/adapter/adapter_base.h"
#include "lathe/model/load_model.h"
#include "lathe/model/scores.h"
#include "lathe/train/answers/answer_pass.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kTokensOfPass = 4096;

int64_t length_of(const Example& example) {
  return std::ssize(example.prompt) + std::ssize(example.answers[0].ids);
}

}  // namespace

void RewardModel::load_model_of(const RewardModelSetting& setting, const Log& log) {
  const ModelConfig config = read_model_config(folder_, log);
  require(
      config.num_labels == 1 && !config.body_traits().encoder && config.body_traits().causal,
      ErrorKind::kConfig, "reward.model",
      "{} {}, but a reward model is a decoder with one score of a text (…ForSequenceClassification with one "
      "label); train one with lathe reward",
      folder_,
      config.num_labels == 1   ? std::string("has or is an encoder")
      : config.num_labels == 0 ? std::string("predicts tokens")
                               : fmt::format("has {} labels", config.num_labels));
  model_ = load_model(
      folder_,
      {.dtype = setting.dtype, .device = setting.device, .residence = Residence::kOwn, .log = log});
}

// Of the base only what the policy does not have is loaded.
void RewardModel::load_adapter_of(const RewardModelSetting& setting, const Log& log) {
  require(
      setting.from.has_value(), ErrorKind::kConfig, "reward.model",
      "{} is an adapter, but the policy starts from random weights and not from the model that it was made "
      "for; set model.from to that, or give the folder of a whole model (lathe merge)",
      folder_);
  const ScoreShape scores = scores_of_adapter(folder_);
  require(
      scores.labels == 1, ErrorKind::kConfig, "reward.model",
      "{} is an adapter with {} of a text, but a reward model gives one (score.weight, in modules_to_save); "
      "train one with lathe reward MODEL DATA --adapter.peft_type=LORA",
      folder_,
      scores.labels == 0 ? std::string("no score") : fmt::format("{} scores", scores.labels));
  require_base(folder_, *setting.from, "reward.model", log);
  std::unique_ptr<Transformer> own;
  if (setting.base == nullptr)
    own = load_model(*setting.from, {.dtype = setting.dtype,
                                     .device = setting.device,
                                     .residence = Residence::kOwn,
                                     .log = log});
  model_ = share_with_scores(own ? *own : *setting.base, scores, Rng(0));
  const std::shared_ptr<const Adapter> adapter = load_adapter(folder_, *model_, log);
  adapter_ = std::make_unique<AppliedAdapters>(std::vector{adapter});
}

RewardModel::RewardModel(const std::string& folder, const RewardModelSetting& setting,
                         const Log& log)
    : folder_(folder), policy_tokenizer_(setting.tokenizer) {
  {
    const MemoryLabel label("reward models");
    is_adapter(folder) ? load_adapter_of(setting, log) : load_model_of(setting, log);
  }
  const int64_t own = model_->config().vocab_size, needed = policy_tokenizer_->vocab_size();
  if (!has_tokenizer(folder)) {
    require(
        own >= needed, ErrorKind::kConfig, "reward.model",
        "{} has no tokenizer and reads {} ids, but those of the policy's tokenizer go to {}; put the "
        "model's tokenizer into its folder",
        folder, own, needed);
    return;
  }
  if (load_tokenizer(folder).to_json() == policy_tokenizer_->to_json() && own >= needed) return;
  encoder_.emplace(folder,
                   EncodingOptions{.prompts = true, .eos_token_id = model_->config().eos_token_id});
}

// In its own words: what the row asks, and the answer.
Example RewardModel::encoded(const RewardInput& in) const {
  const std::string place(in.place);
  Json row = in.row;
  if (row.contains("prompt_ids")) row = {{"prompt", policy_tokenizer_->decode(in.prompt)}};
  WordRow words = read_word_row(row, ExampleKind::kPrompt, place);
  const std::string answer(in.completion);
  const bool text = words.prompt.has_value();
  if (text)
    words.texts = {answer};
  else
    words.answers = {Json::array({{{"role", "assistant"}, {"content", answer}}})};
  Example example = std::move(encoder_->encode(words, place).at(0));
  std::vector<int32_t>& ids = example.answers[0].ids;
  if (text && !in.ended && !ids.empty() && model_->config().eos_token_id) ids.pop_back();
  return example;
}

Example RewardModel::example_of(const RewardInput& in) const {
  Example example;
  if (encoder_) {
    example = encoded(in);
  } else {
    example.prompt.assign(in.prompt.begin(), in.prompt.end());
    example.answers.push_back({.ids = {in.ids.begin(), in.ids.end()}, .trained = {}});
    // Ids that only fill the policy's table stand for nothing.
    std::erase_if(example.answers[0].ids,
                  [&](int32_t id) { return id >= model_->config().vocab_size; });
  }
  example.place = in.place;
  example.answers[0].trained.assign(example.answers[0].ids.size(), 0);
  const int64_t most = most_tokens();
  require(
      length_of(example) > 0 && length_of(example) <= most, ErrorKind::kData, example.place,
      "prompt and answer are {} tokens for the reward model {}, which reads 1 to {}; shorten the prompt, or "
      "lower objective.max_completion_length",
      length_of(example), folder_, most);
  return example;
}

int64_t RewardModel::most_tokens() const {
  return model_->config().max_position_embeddings - (adapter_ ? adapter_->virtual_tokens() : 0);
}

std::vector<double> RewardModel::scores(std::span<const RewardInput> inputs,
                                        const std::function<void()>& before_each) const {
  std::vector<Example> examples;
  for (const RewardInput& in : inputs) examples.push_back(example_of(in));
  std::vector<size_t> order(examples.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return length_of(examples[i]); });
  std::vector<double> scores(examples.size());
  for (size_t first = 0; first < order.size();) {
    if (before_each) before_each();
    std::vector<const Example*> batch;
    int64_t tokens = 0;
    size_t end = first;
    for (; end < order.size() && (batch.empty() || tokens < kTokensOfPass); ++end) {
      batch.push_back(&examples[order[end]]);
      tokens += length_of(*batch.back());
    }
    const AnswerBatch made = make_answer_batch(batch, {.whole = true});
    const ValuePass pass(*model_, {.adapters = adapter_.get()}, made, ValuePass::Of::kSequences);
    for (size_t i = first; i < end; ++i) scores[order[i]] = pass.values()[i - first];
    first = end;
  }
  return scores;
}

}  // namespace lathe
