#include "lathe/train/task/pretraining_text.h"

#include <algorithm>
#include <cmath>

#include "lathe/io/hash.h"
#include "lathe/io/manifest.h"

namespace lathe {
namespace {

// Its loss over answers that are parts of rows is that of the next token.
std::unique_ptr<AnswerObjective> make_next_token(const Recipe& recipe) {
  ObjectiveConfig config;
  config.name = "sft";
  return make_answer_objective(config, recipe.model);
}

}  // namespace

PretrainingText::PretrainingText(const Recipe& recipe, const AnswerModels& models, Options options)
    : options_(std::move(options)),
      batch_size_(recipe.train.batch_size),
      seq_len_(recipe.train.seq_len),
      vocab_size_(recipe.model.vocab_size),
      data_(open_shards(options_.shards, options_.key,
                        {.seq_len = seq_len_,
                         .shuffle = recipe.data.order == "shuffle",
                         .rng = Rng(static_cast<uint64_t>(recipe.train.seed)).fork("replay")})),
      next_token_(make_next_token(recipe)),
      step_(*next_token_, {.policy = models.policy, .adapter = models.adapter}) {}

// Each step has places for the most rows that it could need, so that which samples it reads does not depend
// on the steps before.
std::vector<Example> PretrainingText::rows(int64_t step, int64_t trained_tokens) const {
  int64_t left = options_.most_rows * seq_len_;
  if (options_.per_trained_token) {
    const double wanted =
        std::round(static_cast<double>(trained_tokens) * *options_.per_trained_token);
    left = std::clamp<int64_t>(static_cast<int64_t>(wanted), 1, left);
  }
  std::vector<Example> rows;
  for (int64_t place = (step - 1) * options_.most_rows; left > 0; ++place) {
    const SampleSource::Sample sample = data_.source.at(place);
    const int64_t count = std::min(left, seq_len_);
    left -= count;
    std::vector<int32_t> ids(static_cast<size_t>(seq_len_) + 1);
    sample.shard->read(sample.begin, sample.begin + seq_len_ + 1, ids, vocab_size_);
    Example& row = rows.emplace_back();
    row.place = sample.shard->prefix().string();
    row.prompt = {ids.begin(), ids.end() - count};
    row.answers.push_back({.ids = {ids.end() - count, ids.end()}, .trained = {}});
    row.answers[0].trained.assign(static_cast<size_t>(count), 1);
  }
  return rows;
}

PretrainingText::Learnt PretrainingText::run(int64_t step, int64_t trained_tokens,
                                             AnswerStepSettings settings,
                                             ParameterGradients& gradients) {
  const std::vector<Example> rows = this->rows(step, trained_tokens);
  std::vector<std::vector<const Example*>> micro_batches;
  for (const Example& row : rows) {
    if (micro_batches.empty() || std::ssize(micro_batches.back()) == batch_size_)
      micro_batches.emplace_back();
    micro_batches.back().push_back(&row);
  }
  settings.scale = options_.weight;
  settings.balances_routers = options_.balances_routers;
  settings.dropout = settings.dropout.fork("replay");
  const AnswerStepResult result = step_.run(micro_batches, settings, &gradients, nullptr);
  return {.loss = result.loss,
          .trained_tokens = result.counts.tokens,
          .tokens = std::ssize(rows) * seq_len_,
          .routers = result.routers};
}

void PretrainingText::add_inputs(TaskInputs& inputs) const {
  Manifest named;
  for (const auto& shard : data_.shards) {
    shard->check_ids(vocab_size_);
    add_input(named, shard->prefix(), "shard");
    inputs.data_hash = hash_text(inputs.data_hash + named.inputs.back().hash);
  }
  inputs.artefacts.insert(inputs.artefacts.end(), named.inputs.begin(), named.inputs.end());
}

std::unique_ptr<PretrainingText> make_replay(const Recipe& recipe, const AnswerModels& models) {
  if (recipe.data.replay.empty()) return nullptr;
  const double share = recipe.data.replay_share, ratio = share / (1 - share);
  const auto sequences =
      static_cast<double>(recipe.train.batch_size * recipe.train.grad_accumulation);
  return std::make_unique<PretrainingText>(
      recipe, models,
      PretrainingText::Options{.shards = recipe.data.replay,
                               .key = "data.replay",
                               .weight = share,
                               .most_rows = static_cast<int64_t>(std::ceil(sequences * ratio)),
                               .per_trained_token = ratio});
}

std::unique_ptr<PretrainingText> make_pretraining_mix(const Recipe& recipe,
                                                      const AnswerModels& models,
                                                      const PretrainingMixConfig* config) {
  if (config == nullptr) return nullptr;
  return std::make_unique<PretrainingText>(
      recipe, models,
      PretrainingText::Options{.shards = config->ptx_data,
                               .key = "objective.ptx_data",
                               .weight = config->ptx_coef,
                               .most_rows = config->ptx_batch_size.value_or(8),
                               .balances_routers = false});
}

}  // namespace lathe
