// Odds-ratio preference optimisation (Hong et al. 2024, arXiv:2403.07691): no reference. With p the mean
// log-probability of a token of an answer and odds(p) = e^p / (1 − e^p),
//   loss = NLL(prompt and chosen answer) − β·mean log σ(log odds(chosen) − log odds(rejected))
#include "lathe/train/objective/objective_entry.h"
#include "lathe/train/objective/pairs.h"

namespace lathe {
namespace {

struct OrpoConfig {
  double beta = 0.1;
  void visit(Visitor& v) {
    v.field("beta", beta, "weight λ of the odds ratio beside the likelihood", at_least(0));
  }
};

class Orpo : public AnswerObjective {
 public:
  explicit Orpo(const OrpoConfig& config) : beta_(config.beta) {}

  AnswerNeeds needs() const override { return {.kind = ExampleKind::kPair, .score_prompts = true}; }

  AnswerLoss loss(const LossInput& in) const override {
    const Values per_token = answer_sums(in.logps, in.batch) / answer_lengths(in.batch);
    const Values chosen = chosen_of(per_token), rejected = rejected_of(per_token);
    const auto log_odds = [](const Values& p) { return p - log(-expm1(p)); };
    const Values odds = log_odds(chosen) - log_odds(rejected), ratio = log_sigmoid(odds);
    const Values nll = chosen_nll(in);
    AnswerLoss result{.loss = nll - in.share() * beta_ * mean(ratio),
                      .metrics = {measured_nll(in, nll), measured("log_odds_ratio", ratio),
                                  measured("log_odds_chosen", odds)}};
    add_reward_metrics(beta_ * chosen, beta_ * rejected, result.metrics);
    return result;
  }

 private:
  const double beta_;
};

}  // namespace

Objective orpo_objective() {
  return answer_objective<Orpo, OrpoConfig>(
      {.name = "orpo",
       .summary = "likelihood of the chosen answer and odds against the rejected, in one stage",
       .source = "Hong et al. 2024, arXiv:2403.07691"});
}

}  // namespace lathe
