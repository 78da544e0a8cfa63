// Objectives over the answers to prompts: what a loss is, as a formula over numbers that models say of
// tokens, pairs and groups. What a batch is, which models are asked and how gradients reach their
// parameters is the same for all of them (train/answers/answer_step.h).
//
//   // dpo.cc, and nothing of it anywhere else:
//   struct DpoConfig { double beta = 0.1; void visit(Visitor& v) { … } };
//   class Dpo : public AnswerObjective {
//     AnswerLoss loss(const LossInput& in) const override {
//       const Values margin = …in.logps…, loss = mean(-log_sigmoid(beta * margin));
//       return {.loss = loss * in.share(), .metrics = {…}};
//     }
//   };
//   Objective dpo_objective() { return answer_objective<Dpo, DpoConfig>({.name = "dpo", …}); }
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lathe/autograd/values.h"
#include "lathe/ops/token_divergence.h"
#include "lathe/train/answers/answer_batch.h"
#include "lathe/train/answers/answer_pass.h"

namespace lathe {

// rollout_config.h
struct RolloutConfig;
struct KlControl;
struct PretrainingMixConfig;

// What a step has in all its micro-batches together.
struct StepCounts {
  int64_t examples = 0, sequences = 0;
  int64_t tokens = 0;        // that are scored
  int64_t first_tokens = 0;  // of these, of the examples' first answers
};

// A number for the metrics: the mean over the step of `sum` / `weight`.
struct Measured {
  std::string name;
  double sum = 0, weight = 1;
};

// What an objective asks of its models.
struct AnswerNeeds {
  ExampleKind kind = ExampleKind::kSingle;
  bool reference = false;      // log-probabilities of a model that is not trained
  bool values = false;         // of a critic, which is trained, too
  bool scores = false;         // the model that is trained gives scores of whole sequences
  bool step_scores = false;    // it gives two scores of each scored token, at that token
  bool score_prompts = false;  // as AnswerBatchOptions::score_prompts
  bool crossed = false;        // each prompt also with the answer of the example before
  bool whole_groups = false;   // the rollouts of a group are in one micro-batch
  bool old_logps = false;      // recorded, or the model's own: for what advantages depend on
  std::optional<ops::Divergence> teacher = {};
  ScoreOptions policy = {};  // beside log-probabilities
};

// Of one micro-batch of rollouts.
struct Advantages {
  std::vector<double> advantages;    // [n]
  std::vector<double> returns = {};  // [n], with a critic
  double kl = 0;                     // Σ over sequences of the KL estimates that were subtracted
};
// What they are computed from, for all micro-batches of a step before the first loss.
struct RolloutBatch {
  const AnswerBatch* batch;
  std::vector<double> old_logps, reference, old_values;  // [n]; reference and values if needed
  std::optional<double> kl_coef = {};                    // in place of the recipe's: kl_control()
};

// Of one micro-batch. Values are on one tape; vectors are constants. Empty where they were not needed.
struct LossInput {
  const AnswerBatch& batch;
  const StepCounts& step;
  Values logps = {}, entropy = {}, divergence = {};  // [n]
  Values values = {};                                // [n], the critic's
  Values scores = {};                                // [S], or [n, 2] of steps
  const TokenScores& policy;                         // what `logps` were made from
  std::vector<double> reference = {};                // [n], log-probabilities
  // Sums over answers, of the examples whose prompts got another's answer.
  std::vector<double> crossed = {}, crossed_reference = {};
  // Of rollouts, [n]; old_logps are empty where the model itself has just drawn them.
  std::vector<double> old_logps = {}, old_values = {};
  Advantages advantages = {};

  // The part of the step's examples that this micro-batch has: what a mean over examples is
  // multiplied by, so that the sum over micro-batches is the mean over the step.
  double share() const {
    return static_cast<double>(batch.examples.size()) / static_cast<double>(step.examples);
  }
};

struct AnswerLoss {
  Values loss;
  std::vector<Measured> metrics;
};

// Stateless and thread-safe.
class AnswerObjective {
 public:
  virtual ~AnswerObjective() = default;
  virtual AnswerNeeds needs() const = 0;
  // The loss of a micro-batch, such that the losses of a step's micro-batches add up to that of the
  // step. Error kData for a batch that it is not defined for.
  virtual AnswerLoss loss(const LossInput& in) const = 0;
  // For each micro-batch of a step. Error kData, naming the row, for groups that have no advantage.
  virtual std::vector<Advantages> advantages(const std::vector<RolloutBatch>& step) const;
  // How the rollouts that it learns from are drawn; nullptr for an objective that learns from given
  // answers.
  virtual const RolloutConfig* rollouts() const { return nullptr; }
  // How the coefficient of the KL divergence in its rewards is adapted; nullopt: it is not. The metric "kl" is
  // what it follows.
  virtual std::optional<KlControl> kl_control() const;
  // The text of pretraining that it learns beside the rollouts; nullptr for none.
  virtual const PretrainingMixConfig* pretraining() const { return nullptr; }
};

// Weighted by what the step's mean is over.
Measured measured(std::string name, const Values& numbers);
Measured measured_mean(std::string name, double mean, double weight);

}  // namespace lathe
