// One step of an objective over answers: from examples to the gradients of the models that are trained.
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "lathe/model/adapter/applied_adapters.h"
#include "lathe/model/transformer.h"
#include "lathe/nn/moe/router_statistics.h"
#include "lathe/train/objective/answer_objective.h"

namespace lathe {

struct AnswerModels {
  Transformer* policy = nullptr;                // gets gradients
  std::shared_ptr<const Adapter> adapter = {};  // gets them instead, and acts on it
  Transformer* critic = nullptr;                // and this, too
  std::shared_ptr<Adapter> critic_adapter = {};
  const Transformer* reference = nullptr;  // these do not
  const Transformer* teacher = nullptr;
};

struct AnswerStepSettings {
  bool training = false;  // dropout and the routers' losses act
  Recompute recompute = Recompute::kNone;
  double embedding_noise = 0;  // alpha of EmbeddingNoise, for the model that is trained
  Rng dropout{0};
  bool balances_routers =
      true;            // training: whether the routers' losses and statistics are of these tokens
  double scale = 1.0;  // of the gradients; the loss that is reported does not have it
  std::optional<double> kl_coef = {};      // as RolloutBatch
  std::function<void()> before_each = {};  // as Tape::Setup
};

struct AnswerStepResult {
  double loss = 0;
  StepCounts counts;
  std::vector<Measured> metrics;  // summed over micro-batches
  RouterStatistics routers;
  // Of each micro-batch, for those who look closer.
  struct Micro {
    AnswerBatch batch;
    TokenScores policy;
    std::vector<double> scores;      // [S], of objectives of scores; [n, 2] of steps
    std::vector<double> advantages;  // [n], of objectives of rollouts
  };
  std::vector<Micro> micro_batches;
};

// Not thread-safe.
class AnswerStep {
 public:
  AnswerStep(const AnswerObjective& objective, const AnswerModels& models)
      : objective_(objective), needs_(objective.needs()), models_(models) {}

  // Keeps what the reference says of each example, so that it is asked once: for examples that stay where
  // they are and come again in later epochs.
  void keep_reference() { keeps_reference_ = true; }

  // Adds the gradients of one step over these micro-batches of examples. Without `policy` it only
  // computes the loss. Errors: kData for examples that the objective is not defined for.
  AnswerStepResult run(const std::vector<std::vector<const Example*>>& micro_batches,
                       const AnswerStepSettings& settings, ParameterGradients* policy,
                       ParameterGradients* critic);

 private:
  struct Prepared;
  AnswerBatchOptions batch_options() const;
  std::vector<Prepared> prepare(const std::vector<std::vector<const Example*>>& micro_batches,
                                std::optional<double> kl_coef);
  // What the critic says, without a tape.
  std::vector<double> values_of(const AnswerBatch& batch, const AnswerStepSettings& settings,
                                const Rng& dropout) const;
  // Its gradients, of Σ values·dvalues, in a pass of its own.
  void learn_values(const AnswerBatch& batch, const AnswerStepSettings& settings,
                    const Rng& dropout, ParameterGradients& critic,
                    const std::vector<double>& dvalues) const;
  std::vector<double> log_probs(const Transformer& model, const Adapters* adapters,
                                const AnswerBatch& batch) const;
  std::vector<double> reference_of(const AnswerBatch& batch);
  void add_advantages(std::vector<Prepared>& all, std::optional<double> kl_coef) const;
  std::vector<double> crossed_sums(const Transformer& model, const Adapters* adapters,
                                   const AnswerBatch& batch) const;
  void add_crossed(const AnswerBatch& batch, LossInput& in) const;
  // The gradients of the policy; returns those of the critic's values.
  std::vector<double> run_tokens(const Prepared& micro, const AnswerStepSettings& settings,
                                 const Rng& dropout, AnswerStepResult& result,
                                 ParameterGradients* policy);
  void run_scores(const Prepared& micro, const AnswerStepSettings& settings, const Rng& dropout,
                  AnswerStepResult& result, ParameterGradients* policy);

  const AnswerObjective& objective_;
  const AnswerNeeds needs_;
  const AnswerModels models_;
  bool keeps_reference_ = false;
  std::unordered_map<const Answer*, std::vector<double>> reference_;
};

}  // namespace lathe
