// Distillation from a teacher's distributions (Hinton et al. 2015, arXiv:1503.02531; the generalised
// Jensen-Shannon divergence: Agarwal et al. 2024, arXiv:2306.13649), over the answers' tokens:
//   loss = w·CE + (1 − w)·D(teacher, model), means over all trained tokens of a step
#include "lathe/train/objective/objective_entry.h"

namespace lathe {
namespace {

struct DistillConfig {
  std::string divergence = "forward";
  double jsd_beta = 0.5, temperature = 1.0, ce_weight = 0.0;
  std::optional<std::string> teacher;

  void visit(Visitor& v) {
    v.field("teacher", teacher, "folder of the model to learn from, with the same vocabulary",
            required());
    v.choice("divergence", divergence, {"forward", "reverse", "jsd"},
             "forward: KL(teacher | model); reverse: KL(model | teacher); jsd: between both");
    v.field(
        "jsd_beta", jsd_beta, "jsd: weight of the teacher in the mixture",
        Limits{.minimum = 0, .maximum = 1, .exclusive_minimum = true, .exclusive_maximum = true});
    v.field("temperature", temperature, "of both distributions", above(0));
    v.field("ce_weight", ce_weight,
            "weight of the cross entropy with the data; the rest is the divergence's",
            between(0, 1));
  }
  void check(const RowShape&, const KeyErrors& keys) const {
    refuse_unread(keys, jsd_beta != DistillConfig().jsd_beta && divergence != "jsd", "jsd_beta",
                  "divergence = \"jsd\"");
  }
  std::map<std::string, std::string> models() const { return {{"teacher", teacher.value_or("")}}; }
};

class Distill : public AnswerObjective {
 public:
  explicit Distill(const DistillConfig& config) : config_(config) {}

  AnswerNeeds needs() const override {
    using Kind = ops::Divergence::Kind;
    const Kind kind = config_.divergence == "forward"   ? Kind::kForward
                      : config_.divergence == "reverse" ? Kind::kReverse
                                                        : Kind::kJensenShannon;
    return {.teacher = ops::Divergence{
                .kind = kind, .beta = config_.jsd_beta, .temperature = config_.temperature}};
  }

  AnswerLoss loss(const LossInput& in) const override {
    const double w = config_.ce_weight;
    return {
        .loss = sum(w * -in.logps + (1 - w) * in.divergence) / static_cast<double>(in.step.tokens),
        .metrics = {measured("nll", -in.logps), measured("divergence", in.divergence)}};
  }

 private:
  const DistillConfig config_;
};

}  // namespace

Objective distill_objective() {
  return answer_objective<Distill, DistillConfig>(
      {.name = "distill",
       .summary = "learning a teacher's distributions on given answers",
       .source = "Hinton et al. 2015, arXiv:1503.02531; Agarwal et al. 2024, arXiv:2306.13649"});
}

}  // namespace lathe
