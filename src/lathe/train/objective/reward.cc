// A reward model: a model with one score for each text (num_labels = 1, at its last token), trained on
// pairs (Bradley & Terry 1952; Stiennon et al. 2020, arXiv:2009.01325). With s the scores, m the margin of
// a pair (Touvron et al. 2023, arXiv:2307.09288) and k = center_rewards_coefficient (Eisenstein et al. 2023,
// arXiv:2312.09244), the loss is the mean over pairs of
//   −log σ(s_chosen − s_rejected − m) + k·(s_chosen + s_rejected)²
#include <algorithm>

#include "lathe/train/objective/objective_entry.h"
#include "lathe/train/objective/pairs.h"

namespace lathe {
namespace {

struct RewardConfig {
  std::optional<double> center_rewards_coefficient;
  void visit(Visitor& v) {
    v.field("center_rewards_coefficient", center_rewards_coefficient,
            "weight that pulls the sum of a pair's scores to 0; unset: none", at_least(0));
  }
};

class Reward : public AnswerObjective {
 public:
  explicit Reward(const RewardConfig& config) : center_(config.center_rewards_coefficient) {}

  AnswerNeeds needs() const override { return {.kind = ExampleKind::kPair, .scores = true}; }

  AnswerLoss loss(const LossInput& in) const override {
    const Values chosen = chosen_of(in.scores), rejected = rejected_of(in.scores);
    std::vector<double> margins;
    for (const Example* example : in.batch.examples) margins.push_back(example->margin.value_or(0));
    Values each = -log_sigmoid(chosen - rejected - Values(margins));
    if (center_) each = each + *center_ * square(chosen + rejected);
    double right = 0;
    for (size_t i = 0; i < chosen.size(); ++i) right += chosen[i] > rejected[i] ? 1 : 0;
    const auto [least, most] = std::ranges::minmax(in.scores.numbers());
    return {.loss = mean(each) * in.share(),
            .metrics = {{"accuracy", right, static_cast<double>(chosen.size())},
                        measured("margin", chosen - rejected),
                        measured("mean_reward", in.scores),
                        measured_mean("min_reward", least, in.share()),
                        measured_mean("max_reward", most, in.share())}};
  }

 private:
  const std::optional<double> center_;
};

}  // namespace

Objective reward_objective() {
  return answer_objective<Reward, RewardConfig>(
      {.name = "reward",
       .summary = "a reward model from pairs of a chosen and a rejected answer",
       .source = "Stiennon et al. 2020, arXiv:2009.01325"});
}

}  // namespace lathe
