// REINFORCE++ (Hu 2025, arXiv:2501.03262): no critic and no groups. With r_t = −c·KL_t, to which the last token
// adds the answer's reward, the advantage of a token is the sum of the r that follow, normalised over all
// tokens of the step (variance over n); the loss is the mean over tokens of PPO's clipped surrogate.
#include "lathe/train/objective/objective_entry.h"
#include "lathe/train/objective/rollouts.h"

namespace lathe {
namespace {

struct ReinforceConfig {
  RolloutConfig rollouts;
  double kl_coef = 0.01, cliprange = 0.2;
  std::string kl_estimator = "k1";
  std::optional<std::string> reference;

  void visit(Visitor& v) {
    rollouts.visit(v);
    v.field("kl_coef", kl_coef, "weight of the KL divergence to the reference in the reward",
            at_least(0));
    visit_kl_estimator(v, kl_estimator);
    v.field("cliprange", cliprange, "how far a ratio may be from 1 before it is clipped", above(0));
    v.field(
        "reference", reference,
        "folder of the model to stay near; default: the starting weights, with an adapter the base");
  }
  void check(const RowShape&, const KeyErrors& keys) const { rollouts.check(keys); }
  std::map<std::string, std::string> models() const {
    return {{"reference", reference.value_or("")}};
  }
};

class ReinforcePlusPlus : public AnswerObjective {
 public:
  explicit ReinforcePlusPlus(const ReinforceConfig& config) : c_(config) {}

  AnswerNeeds needs() const override {
    return {.kind = ExampleKind::kRollout,
            .reference = true,
            .old_logps = true,
            .policy = {.temperature = c_.rollouts.temperature, .entropy = true}};
  }

  const RolloutConfig* rollouts() const override { return &c_.rollouts; }

  std::vector<Advantages> advantages(const std::vector<RolloutBatch>& step) const override {
    std::vector<Advantages> all;
    for (const RolloutBatch& micro : step) {
      Advantages& own = all.emplace_back();
      own.advantages = token_rewards(micro, c_.kl_estimator, c_.kl_coef, own.kl);
      const Runs& runs = micro.batch->scored;
      for (int64_t s = 0; s < runs.count(); ++s)
        for (int64_t t = runs.first(s + 1) - 2; t >= runs.first(s); --t)
          own.advantages[static_cast<size_t>(t)] += own.advantages[static_cast<size_t>(t) + 1];
    }
    std::vector<std::vector<double>*> lists;
    for (Advantages& each : all) lists.push_back(&each.advantages);
    whiten(lists, {.unbiased = false});
    return all;
  }

  AnswerLoss loss(const LossInput& in) const override {
    const Surrogate policy = clipped_surrogate(in, c_.cliprange);
    return {.loss = sum(policy.loss) / static_cast<double>(in.step.tokens),
            .metrics = {{"kl", in.advantages.kl, static_cast<double>(in.batch.sequences())},
                        measured("entropy", in.entropy),
                        {"clip_ratio/region_mean", policy.clipped,
                         static_cast<double>(in.batch.tokens())}}};
  }

 private:
  const ReinforceConfig c_;
};

}  // namespace

Objective reinforce_pp_objective() {
  return answer_objective<ReinforcePlusPlus, ReinforceConfig>(
      {.name = "reinforce_pp",
       .summary = "reinforcement with rewards normalised over the batch, without a critic",
       .source = "Hu 2025, arXiv:2501.03262"});
}

}  // namespace lathe
