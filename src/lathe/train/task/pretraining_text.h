// Text of pretraining that a run over answers goes on learning, so that the model keeps what it knew: beside given
// answers (data.replay; experience replay: Scialom et al. 2022, arXiv:2205.12393) and beside rollouts
// (objective.ptx_data; PPO-ptx: Ouyang et al. 2022, arXiv:2203.02155).
//
// A step learns n tokens of it, with the loss
//   (1/n)·Σ −log p(token | the tokens before it in its row)
// Its ⌈n / seq_len⌉ rows have train.seq_len tokens to be predicted each. Of the last one only the last tokens are
// trained on, as many as are missing, so that they have a text before them as all others do.
//
// data.replay: with s = data.replay_share, T the trained tokens of a step's answers and B its sequences
// (train.batch_size x grad_accumulation), n = T·s / (1 − s), rounded; at least 1, at most the tokens of
// ⌈B·s / (1 − s)⌉ rows. The loss of the step is (1 − s)·objective + s·text. For sft, where the objective is a mean
// over T, every trained token of the step then counts alike.
//
// objective.ptx_data: n = ptx_batch_size · seq_len. The loss of the step is objective + ptx_coef·text.
#pragma once

#include <memory>
#include <vector>

#include "lathe/train/answers/answer_step.h"
#include "lathe/train/objective/rollout_config.h"
#include "lathe/train/recipe.h"
#include "lathe/train/task.h"
#include "lathe/train/training_data.h"

namespace lathe {

// Not thread-safe.
class PretrainingText {
 public:
  struct Options {
    std::vector<std::string> shards;  // parse_shard_choice()
    std::string_view key;             // of the recipe, where they stand
    double weight = 1;                // of the loss
    int64_t most_rows = 1;            // of a step
    // n for each trained token of the answers; without it a step has all rows.
    std::optional<double> per_trained_token = {};
    bool balances_routers =
        true;  // whether the routers' losses and statistics are of this text, too
  };
  // The models outlive it. Errors: those of open_shards().
  PretrainingText(const Recipe& recipe, const AnswerModels& models, Options options);

  struct Learnt {
    double loss = 0;
    int64_t trained_tokens = 0, tokens = 0;  // n, and those of the passes
    RouterStatistics routers;
  };
  // Adds weight() times the gradients of the text of `step`, from 1, whose answers have so many trained tokens;
  // `settings` are those of the answers. A pure function of the step and these tokens.
  Learnt run(int64_t step, int64_t trained_tokens, AnswerStepSettings settings,
             ParameterGradients& gradients);
  double weight() const { return options_.weight; }

  // Names the shards after checking that the model has a row for each id.
  void add_inputs(TaskInputs& inputs) const;

  // The rows of a step as examples: what is trained on is the answer.
  std::vector<Example> rows(int64_t step, int64_t trained_tokens) const;

 private:
  const Options options_;
  const int64_t batch_size_, seq_len_, vocab_size_;
  const OpenShards data_;
  const std::unique_ptr<AnswerObjective> next_token_;
  AnswerStep step_;
};

// That of data.replay, and of a PretrainingMixConfig; nullptr without one.
std::unique_ptr<PretrainingText> make_replay(const Recipe& recipe, const AnswerModels& models);
std::unique_ptr<PretrainingText> make_pretraining_mix(const Recipe& recipe,
                                                      const AnswerModels& models,
                                                      const PretrainingMixConfig* config);

}  // namespace lathe
