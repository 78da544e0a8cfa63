// Each expert is scored by itself, and balanced without a loss: a bias is added to the scores when
// experts are chosen, not when they are weighed, and moves after every step towards the experts
// that had fewer tokens (Wang et al. 2024, arXiv:2408.15664; router_statistics.h).
//
// transformers 5.23, DeepseekV3TopkRouter: F.linear in f32, sigmoid; a group's score is the sum of
// its two best biased scores; scores of other groups are -inf; gates are the unbiased scores,
// divided by their sum + 1e-20 with norm_topk_prob, times routed_scaling_factor.

#include "lathe/nn/moe/linear_router.h"
#include "lathe/ops/elementwise.h"
#include "lathe/ops/moe_routing.h"

namespace lathe {
namespace {

struct SigmoidConfig {
  double bias_update_rate = 0.001;

  void visit(Visitor& v) {
    v.field("bias_update_rate", bias_update_rate,
            "step size of the biases that balance the sigmoid router", at_least(0));
  }
  void check(const RouterShape& shape, const KeyErrors& keys) const {
    const MoeConfig& c = shape.config;
    if (c.topk_group < c.n_group && c.num_experts / c.n_group < 2)
      keys.refuse("n_group",
                  fmt::format("a group is scored by its two best experts, so it needs two; {} "
                              "experts in {} groups",
                              c.num_experts, c.n_group));
  }
};

class Sigmoid : public LinearRouter {
 public:
  Sigmoid(const RouterShape& shape, const SigmoidConfig& config)
      : LinearRouter(shape),
        rate_(config.bias_update_rate),
        correction_({shape.config.num_experts}, {Initializer::Kind::kZeros, 0}) {
    correction_.trainable = false;
    correction_.full_precision = true;
  }
  static RouterTraits traits(const RouterShape&, const SigmoidConfig&) {
    return {.groups = true, .balance = 0.0};
  }

  Routing route(const Forward& f, const Var& x) const override {
    const MoeConfig& c = config();
    Routing r;
    r.logits = logits(f, x);
    const Var scores = ops::activation(kernels::find_activation("sigmoid"), r.logits);
    r.choices =
        ops::top_k(ops::limit_to_groups(biased(f, scores.value),
                                        {.count = c.n_group, .kept = c.topk_group, .scored_by = 2}),
                   c.num_experts_per_tok);
    r.gates =
        ops::gates(scores, r.choices,
                   {.normalize = c.norm_topk_prob, .eps = 1e-20, .scale = c.routed_scaling_factor});
    r.probabilities = ops::share_of_sum(scores);
    r.plan = plan(f, r.choices);
    r.wanted = r.choices.numel();
    return r;
  }
  Parameter* correction_bias() override { return &correction_; }
  double bias_update_rate() const override { return rate_; }
  std::string_view kind() const override { return "SigmoidRouter"; }
  void visit(ModuleVisitor& v) override {
    LinearRouter::visit(v);
    v.parameter("e_score_correction_bias", correction_);
  }

 private:
  Tensor biased(const Forward& f, const Tensor& scores) const {
    const Tensor bias = f.use(correction_).value.to(scores.dtype()), sum = scores.clone();
    const auto& k = kernels::kernels_for(sum.device());
    for (int64_t n = 0; n < sum.size(0); ++n)
      k.axpy(1.0, bias, sum.narrow(0, n, 1).reshape(bias.shape()));
    return sum;
  }

  double rate_;
  Parameter correction_;  // [E]
};

}  // namespace

RouterComponent sigmoid_router() {
  return router_component<Sigmoid, SigmoidConfig>(
      {.name = "sigmoid",
       .summary = "scores independent of each other, balanced by a bias instead of a loss",
       .source = "DeepSeek-AI 2024, arXiv:2412.19437"});
}

}  // namespace lathe
