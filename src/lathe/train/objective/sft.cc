// Supervised fine-tuning: the loss is the mean over all trained tokens of a step,
//   nll   −log p
//   dft   −sg(p)·log p   (dynamic fine-tuning, Wu et al. 2025, arXiv:2508.05629; sg: no gradient)
#include "lathe/train/objective/objective_entry.h"

namespace lathe {
namespace {

struct SftConfig {
  std::string loss = "nll";
  void visit(Visitor& v) {
    v.choice("loss", loss, {"nll", "dft"},
             "nll: mean negative log-likelihood of the trained tokens; dft: each weighted by its "
             "probability, so that unlikely tokens pull less");
  }
};

class Sft : public AnswerObjective {
 public:
  explicit Sft(const SftConfig& config) : weighted_(config.loss == "dft") {}

  AnswerNeeds needs() const override { return {.policy = {.entropy = true, .best = true}}; }

  AnswerLoss loss(const LossInput& in) const override {
    const Values each = weighted_ ? -(exp(in.logps).detached() * in.logps) : -in.logps;
    double best = 0;
    for (const uint8_t right : in.policy.is_best) best += right;
    return {
        .loss = sum(each) / static_cast<double>(in.step.tokens),
        .metrics = {{"mean_token_accuracy", best, static_cast<double>(in.policy.is_best.size())},
                    measured("entropy", in.entropy)}};
  }

 private:
  const bool weighted_;
};

}  // namespace

Objective sft_objective() {
  return answer_objective<Sft, SftConfig>(
      {.name = "sft",
       .summary = "supervised fine-tuning on answers: conversations, instructions, completions",
       .source = "Ouyang et al. 2022, arXiv:2203.02155; DFT: Wu et al. 2025, arXiv:2508.05629"});
}

}  // namespace lathe
