// A process reward model: whether each step of an answer is right, as two scores at the token that ends the step
// (Uesato et al. 2022, arXiv:2211.14275; Lightman et al. 2023, arXiv:2305.20050; rows and model as TRL's PRMTrainer
// has them, a token classifier of two labels). With s the scores of such a token and y its label, the loss is the
// mean over all steps of all answers of
//   −log softmax(s)_y = −log σ(s_y − s_{1−y})
#include "lathe/train/objective/objective_entry.h"

namespace lathe {
namespace {

// Of each scored token, in order.
std::vector<double> signs_of(const AnswerBatch& batch) {
  std::vector<double> signs;
  for (const Example* example : batch.examples)
    for (const uint8_t right : example->step_labels) signs.push_back(right != 0 ? 1 : -1);
  return signs;
}

class ProcessReward : public AnswerObjective {
 public:
  explicit ProcessReward(const NoConfig&) {}

  AnswerNeeds needs() const override { return {.kind = ExampleKind::kSteps, .step_scores = true}; }

  AnswerLoss loss(const LossInput& in) const override {
    std::vector<int64_t> wrong, right;
    for (int64_t i = 0; i < in.batch.tokens(); ++i) {
      wrong.push_back(2 * i);
      right.push_back(2 * i + 1);
    }
    const Values margin =
        (take(in.scores, right) - take(in.scores, wrong)) * Values(signs_of(in.batch));
    double hits = 0;
    for (const double each : margin.numbers()) hits += each > 0 ? 1 : 0;
    return {.loss = -sum(log_sigmoid(margin)) / static_cast<double>(in.step.tokens),
            .metrics = {{"accuracy", hits, static_cast<double>(margin.size())},
                        measured("probability_right",
                                 sigmoid(take(in.scores, right) - take(in.scores, wrong)))}};
  }
};

}  // namespace

Objective prm_objective() {
  return answer_objective<ProcessReward, NoConfig>(
      {.name = "prm",
       .summary = "a process reward model: whether each step of an answer is right",
       .source = "Uesato et al. 2022, arXiv:2211.14275; Lightman et al. 2023, arXiv:2305.20050"});
}

}  // namespace lathe
