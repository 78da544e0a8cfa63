// Contrastive preference optimisation without a reference (Xu et al. 2024, arXiv:2401.08417), SimPO (Meng
// et al. 2024, arXiv:2405.14734) and AlphaPO (Gupta et al. 2025, arXiv:2501.03884). With l the
// log-probability of an answer (of simpo and ipo per token), r(l) = l, or (1 − e^(−αl))/α for α ≠ 0, and
// Δ = r(chosen) − r(rejected), the loss is the mean over pairs of
//   sigmoid −log σ(βΔ)   hinge max(0, 1 − βΔ)   ipo (Δ − 1/2β)²   simpo −log σ(βΔ − γ)
// (sigmoid and simpo smoothed by label_smoothing), plus cpo_alpha times the chosen answers' NLL per token.
#include "lathe/train/objective/objective_entry.h"
#include "lathe/train/objective/pairs.h"

namespace lathe {
namespace {

struct CpoConfig {
  std::string loss = "sigmoid";
  double beta = 0.1, cpo_alpha = 1.0, simpo_gamma = 0.5, alpha = 0, label_smoothing = 0;

  void visit(Visitor& v) {
    v.choice("loss", loss, {"sigmoid", "hinge", "ipo", "simpo"}, "the loss of a pair");
    v.field("beta", beta, "scale of the difference; 2 to 10 for simpo", above(0));
    v.field("cpo_alpha", cpo_alpha, "weight of the chosen answers' mean negative log-likelihood",
            at_least(0));
    v.field("simpo_gamma", simpo_gamma, "simpo: the margin γ that a pair should reach");
    v.field("alpha", alpha, "AlphaPO's shape α of the reward; 0: the log-probability");
    v.field("label_smoothing", label_smoothing,
            "share of pairs whose labels are taken to be the wrong way round", between(0, 0.5));
  }
  void check(const RowShape&, const KeyErrors& keys) const {
    refuse_unread(keys, simpo_gamma != CpoConfig().simpo_gamma && loss != "simpo", "simpo_gamma",
                  "loss = \"simpo\"");
    refuse_unread(keys, label_smoothing != 0 && is_one_of(loss, {"hinge", "ipo"}),
                  "label_smoothing", "loss = \"sigmoid\" or \"simpo\"");
  }
};

class Cpo : public AnswerObjective {
 public:
  explicit Cpo(const CpoConfig& config)
      : config_(config), per_token_(config.loss == "simpo" || config.loss == "ipo") {}

  AnswerNeeds needs() const override { return {.kind = ExampleKind::kPair}; }

  AnswerLoss loss(const LossInput& in) const override {
    Values logps = sums(in.logps, in.batch.scored);
    if (per_token_) logps = logps / answer_lengths(in.batch);
    const double a = config_.alpha;
    const Values rewards = a == 0 ? logps : -expm1(-a * logps) / a;
    const Values chosen = chosen_of(rewards), rejected = rejected_of(rewards);
    const Values nll = chosen_nll(in);
    AnswerLoss result{
        .loss = in.share() * mean(of_pairs(chosen - rejected)) + config_.cpo_alpha * nll,
        .metrics = {measured_nll(in, nll)}};
    add_reward_metrics(config_.beta * chosen, config_.beta * rejected, result.metrics);
    return result;
  }

 private:
  Values of_pairs(const Values& difference) const {
    const double beta = config_.beta, e = config_.label_smoothing;
    if (config_.loss == "hinge") return relu(1.0 - beta * difference);
    if (config_.loss == "ipo") return square(difference - 1 / (2 * beta));
    const Values x = beta * difference - (config_.loss == "simpo" ? config_.simpo_gamma : 0.0);
    return -(1 - e) * log_sigmoid(x) - e * log_sigmoid(-x);
  }

  const CpoConfig config_;
  const bool per_token_;
};

}  // namespace

Objective cpo_objective() {
  return answer_objective<Cpo, CpoConfig>(
      {.name = "cpo",
       .summary = "preference optimisation without a reference: CPO, SimPO, AlphaPO",
       .source = "Xu et al. 2024, arXiv:2401.08417; Meng et al. 2024, arXiv:2405.14734"});
}

}  // namespace lathe
