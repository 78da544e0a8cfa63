#include "lathe/train/task/replay.h"

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {

// Its loss over answers that are whole rows is that of the next token.
std::unique_ptr<AnswerObjective> make_next_token(const Recipe& recipe) {
  ObjectiveConfig config;
  config.name = "sft";
  return make_answer_objective(config, recipe.model);
}

double ratio(double share) { return share / (1 - share); }

}  // namespace

Replay::Replay(const Recipe& recipe, const AnswerModels& models)
    : share_(recipe.data.replay_share),
      batch_size_(recipe.train.batch_size),
      seq_len_(recipe.train.seq_len),
      vocab_size_(recipe.model.vocab_size),
      most_rows_(static_cast<int64_t>(std::ceil(
          static_cast<double>(batch_size_ * recipe.train.grad_accumulation) * ratio(share_)))),
      data_(open_shards(recipe.data.replay, "data.replay",
                        {.seq_len = seq_len_,
                         .rng = Rng(static_cast<uint64_t>(recipe.train.seed)).fork("replay")})),
      next_token_(make_next_token(recipe)),
      step_(*next_token_, {.policy = models.policy, .adapter = models.adapter}) {}

// Each step has places for the most rows that it could need, so that which samples it reads does not depend
// on the steps before.
std::vector<Example> Replay::rows(int64_t step, int64_t trained_tokens) const {
  const double wanted = std::round(static_cast<double>(trained_tokens) * ratio(share_));
  int64_t left = std::clamp<int64_t>(static_cast<int64_t>(wanted), 1, most_rows_ * seq_len_);
  std::vector<Example> rows;
  for (int64_t place = (step - 1) * most_rows_; left > 0; ++place) {
    const SampleSource::Sample sample = data_.source.at(place);
    const int64_t count = std::min(left, seq_len_);
    left -= count;
    std::vector<int32_t> ids(static_cast<size_t>(count) + 1);
    sample.shard->read(sample.begin, sample.begin + count + 1, ids, vocab_size_);
    Example& row = rows.emplace_back();
    row.place = sample.shard->prefix().string();
    row.prompt = {ids[0]};
    row.answers.push_back({.ids = {ids.begin() + 1, ids.end()}, .trained = {}});
    row.answers[0].trained.assign(static_cast<size_t>(count), 1);
  }
  return rows;
}

AnswerStepResult Replay::run(int64_t step, int64_t trained_tokens, AnswerStepSettings settings,
                             ParameterGradients& gradients) {
  const std::vector<Example> rows = this->rows(step, trained_tokens);
  std::vector<std::vector<const Example*>> micro_batches;
  for (const Example& row : rows) {
    if (micro_batches.empty() || std::ssize(micro_batches.back()) == batch_size_)
      micro_batches.emplace_back();
    micro_batches.back().push_back(&row);
  }
  settings.scale = share_;
  settings.dropout = settings.dropout.fork("replay");
  AnswerStepResult result = step_.run(micro_batches, settings, &gradients, nullptr);
  result.micro_batches.clear();  // they point to rows that end here
  return result;
}

}  // namespace lathe
