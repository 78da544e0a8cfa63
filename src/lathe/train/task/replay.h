// Text of the pretraining mixture between the answers of a run, so that the model keeps what it knew
// (experience replay: Scialom et al. 2022, arXiv:2205.12393; PPO-ptx: Ouyang et al. 2022, arXiv:2203.02155).
//
// With s = data.replay_share, T the trained tokens of a step's answers and B its sequences
// (train.batch_size x grad_accumulation), the step replays
//   n = T·s / (1 − s)   tokens, rounded; at least 1, at most ⌈B·s / (1 − s)⌉ rows of train.seq_len
// and its loss is
//   (1 − s)·objective + s·(1/n)·Σ −log p(token | the tokens before it in its row).
// For sft, where the objective is a mean over T, every trained token of the step then counts alike.
#pragma once

#include <memory>
#include <vector>

#include "lathe/train/answers/answer_step.h"
#include "lathe/train/recipe.h"
#include "lathe/train/training_data.h"

namespace lathe {

// Not thread-safe.
class Replay {
 public:
  // Of data.replay; the models outlive it. Errors: those of open_shards().
  Replay(const Recipe& recipe, const AnswerModels& models);

  // Adds s times the gradients of the replayed text of `step`, from 1, whose answers have so many trained
  // tokens; `settings` are those of the answers. A pure function of the step and these tokens.
  AnswerStepResult run(int64_t step, int64_t trained_tokens, AnswerStepSettings settings,
                       ParameterGradients& gradients);
  double share() const { return share_; }
  const std::vector<std::unique_ptr<TokenShard>>& shards() const { return data_.shards; }

  // The rows of a step as examples: the first token is the prompt, all others are trained on.
  std::vector<Example> rows(int64_t step, int64_t trained_tokens) const;

 private:
  const double share_;
  const int64_t batch_size_, seq_len_, vocab_size_, most_rows_;
  const OpenShards data_;
  const std::unique_ptr<AnswerObjective> next_token_;
  AnswerStep step_;
};

}  // namespace lathe
