// Kahneman-Tversky optimisation on single answers that are good or bad (Ethayarajh et al. 2024,
// arXiv:2402.01306). With x the answer's log-ratio to the reference and z = max(0, mean log-ratio of
// prompts with another's answer), an estimate of the KL divergence that gets no gradient, the loss is the
// mean over answers of
//   good: w₊·(1 − σ(β(x − z)))      bad: w₋·(1 − σ(β(z − x)))
// apo_zero_unpaired: 1 − σ(βx) and σ(βx) (D'Oosterlinck et al. 2024, arXiv:2408.06266).
#include <algorithm>

#include "lathe/train/objective/objective_entry.h"

namespace lathe {
namespace {

struct KtoConfig {
  std::string loss = "kto";
  double beta = 0.1, desirable_weight = 1, undesirable_weight = 1;
  std::optional<std::string> reference;

  void visit(Visitor& v) {
    v.choice("loss", loss, {"kto", "apo_zero_unpaired"}, "the loss of an answer");
    v.field("beta", beta, "how strongly the model is held to the reference", above(0));
    v.field("desirable_weight", desirable_weight, "weight of good answers", above(0));
    v.field("undesirable_weight", undesirable_weight, "weight of bad answers", above(0));
    v.field(
        "reference", reference,
        "folder of the model to stay near; default: the starting weights, with an adapter the base");
  }
  std::map<std::string, std::string> models() const {
    return {{"reference", reference.value_or("")}};
  }
};

class Kto : public AnswerObjective {
 public:
  explicit Kto(const KtoConfig& config) : config_(config), with_kl_(config.loss == "kto") {}

  AnswerNeeds needs() const override {
    return {.kind = ExampleKind::kLabelled, .reference = true, .crossed = with_kl_};
  }

  AnswerLoss loss(const LossInput& in) const override {
    const Values ratio =
        sums(in.logps, in.batch.scored) - sums(Values(in.reference), in.batch.scored);
    const double kl = kl_of(in);
    std::vector<double> sign, weight;
    for (const Example* example : in.batch.examples) {
      sign.push_back(*example->label ? 1 : -1);
      weight.push_back(*example->label ? config_.desirable_weight : config_.undesirable_weight);
    }
    const Values each =
        Values(weight) * (1.0 - sigmoid(config_.beta * Values(sign) * (ratio - kl)));
    AnswerLoss result{.loss = mean(each) * in.share(), .metrics = {}};
    result.metrics.push_back(measured_mean("kl", kl, in.share()));
    add_rewards(in, ratio, result.metrics);
    return result;
  }

 private:
  double kl_of(const LossInput& in) const {
    if (!with_kl_) return 0;
    return std::max(0.0, mean(Values(in.crossed) - Values(in.crossed_reference)).item());
  }

  void add_rewards(const LossInput& in, const Values& ratio, std::vector<Measured>& metrics) const {
    for (const bool good : {true, false}) {
      double sum = 0, count = 0;
      for (size_t i = 0; i < ratio.size(); ++i) {
        if (*in.batch.examples[i]->label != good) continue;
        sum += config_.beta * ratio[i];
        ++count;
      }
      if (count > 0) metrics.push_back({good ? "rewards/chosen" : "rewards/rejected", sum, count});
    }
  }

  const KtoConfig config_;
  const bool with_kl_;
};

}  // namespace

Objective kto_objective() {
  return answer_objective<Kto, KtoConfig>(
      {.name = "kto",
       .summary = "preference optimisation on single answers labelled good or bad",
       .source = "Ethayarajh et al. 2024, arXiv:2402.01306"});
}

}  // namespace lathe
