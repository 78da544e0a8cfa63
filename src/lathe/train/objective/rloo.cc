// REINFORCE leave-one-out (Ahmadian et al. 2024, arXiv:2402.14740). The reward of an answer, minus
// β·Σ(log π_old − log π_ref) over its tokens, is compared with the mean of the others of its group, and the
// loss is the mean over answers of −min(ρA, clip(ρ, 1 − ε, 1 + ε_high)A) with ρ = π/π_old of the answer.
#include "lathe/train/objective/objective_entry.h"
#include "lathe/train/objective/rollouts.h"

namespace lathe {
namespace {

struct RlooConfig {
  RolloutConfig rollouts;
  double beta = 0, epsilon = 0.2;
  std::optional<double> epsilon_high;
  bool normalize_advantages = false;
  std::optional<std::string> reference;

  void visit(Visitor& v) {
    rollouts.visit(v);
    rollouts.visit_groups(v);
    v.field("beta", beta,
            "weight of the KL divergence to the reference in the reward; 0 needs none",
            at_least(0));
    v.field("epsilon", epsilon, "how far a ratio may fall below 1 before it is clipped",
            between(0, 1));
    v.field("epsilon_high", epsilon_high, "how far it may rise above; default: epsilon", above(0));
    v.field("normalize_advantages", normalize_advantages,
            "subtract the batch's mean from advantages and divide by its standard deviation");
    v.field(
        "reference", reference,
        "with beta: folder of the model to stay near; default: the starting weights, with an adapter "
        "the base");
  }
  void check(const RowShape&, const KeyErrors& keys) const {
    rollouts.check(keys);
    refuse_unread(keys, reference && beta == 0, "reference", "beta above 0");
  }
  std::map<std::string, std::string> models() const {
    if (beta == 0) return {};
    return {{"reference", reference.value_or("")}};
  }
};

class Rloo : public AnswerObjective {
 public:
  explicit Rloo(const RlooConfig& config) : c_(config) {}

  AnswerNeeds needs() const override {
    return {.kind = ExampleKind::kRollout,
            .reference = c_.beta > 0,
            .old_logps = c_.beta > 0,
            .policy = {.temperature = c_.rollouts.temperature, .entropy = true}};
  }

  const RolloutConfig* rollouts() const override { return &c_.rollouts; }

  std::vector<Advantages> advantages(const std::vector<RolloutBatch>& step) const override {
    const Groups groups = groups_of(step, 2);
    std::vector<std::vector<double>> rewards;
    std::vector<Advantages> all;
    std::vector<double> sums(groups.sizes.size());
    for (size_t m = 0; m < step.size(); ++m) {
      all.emplace_back();
      rewards.push_back(penalised(step[m], all.back().kl));
      for (size_t s = 0; s < rewards[m].size(); ++s) sums[groups.of[m][s]] += rewards[m][s];
    }
    std::vector<std::vector<double>*> pointers;
    for (size_t m = 0; m < step.size(); ++m) {
      for (size_t s = 0; s < rewards[m].size(); ++s) {
        const size_t g = groups.of[m][s];
        rewards[m][s] -= (sums[g] - rewards[m][s]) / static_cast<double>(groups.sizes[g] - 1);
      }
      pointers.push_back(&rewards[m]);
    }
    if (c_.normalize_advantages) whiten(pointers, {.within = 0, .beside = 1e-4});
    for (size_t m = 0; m < step.size(); ++m)
      all[m].advantages = at_tokens(rewards[m], step[m].batch->scored);
    return all;
  }

  AnswerLoss loss(const LossInput& in) const override {
    const Runs& runs = in.batch.scored;
    const Values ratio = exp(sums(in.logps - old_logps(in), runs));
    std::vector<double> of_answers;
    for (int64_t s = 0; s < in.batch.sequences(); ++s)
      of_answers.push_back(in.advantages.advantages[static_cast<size_t>(runs.first(s))]);
    const Values advantages(of_answers);
    const double low = 1 - c_.epsilon, high = 1 + c_.epsilon_high.value_or(c_.epsilon);
    const Values each = -minimum(ratio * advantages, clamp(ratio, low, high) * advantages);
    double clipped = 0;
    for (size_t i = 0; i < ratio.size(); ++i)
      clipped += (ratio[i] < low && advantages[i] < 0) || (ratio[i] > high && advantages[i] > 0);
    return {.loss = sum(each) / static_cast<double>(in.step.sequences),
            .metrics = {measured("entropy", in.entropy),
                        {"kl", in.advantages.kl, static_cast<double>(in.batch.sequences())},
                        {"clip_ratio/region_mean", clipped, static_cast<double>(ratio.size())}}};
  }

 private:
  // The reward of each sequence minus β times the sum of its log-ratios.
  std::vector<double> penalised(const RolloutBatch& micro, double& kl) const {
    std::vector<double> rewards;
    const Runs& runs = micro.batch->scored;
    for (int64_t s = 0; s < runs.count(); ++s) {
      double own = 0;
      for (int64_t i = runs.first(s); c_.beta > 0 && i < runs.first(s + 1); ++i)
        own += micro.old_logps[static_cast<size_t>(i)] - micro.reference[static_cast<size_t>(i)];
      kl += own;
      rewards.push_back(micro.batch->example_of(s).reward - c_.beta * own);
    }
    return rewards;
  }

  const RlooConfig c_;
};

}  // namespace

Objective rloo_objective() {
  return answer_objective<Rloo, RlooConfig>(
      {.name = "rloo",
       .summary = "reinforcement with the mean of the other answers of a group as the baseline",
       .source = "Ahmadian et al. 2024, arXiv:2402.14740"});
}

}  // namespace lathe
