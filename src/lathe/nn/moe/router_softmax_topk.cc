// The k most probable experts. transformers 5.23, read against this:
//
//   Mixtral      F.linear in the model's dtype, softmax of its f32 copy, top k, divided by the sum
//   Qwen2/3-MoE  the same, divided only with norm_topk_prob; gates rounded to the model's dtype
//   DeepSeek-V2  F.linear in f32, softmax in f32, never divided, times routed_scaling_factor;
//                group_limited_greedy sets probabilities to 0 outside the topk_group groups with
//                the highest maximum
//
// Nowhere is an epsilon added. Here logits, softmax and gates are f32 throughout.

#include "lathe/nn/moe/linear_router.h"
#include "lathe/ops/moe_routing.h"

namespace lathe {
namespace {

class SoftmaxTopK : public LinearRouter {
 public:
  using LinearRouter::LinearRouter;

  static RouterTraits traits(const RouterShape&, const NoConfig&) { return {.groups = true}; }

  Routing route(const Forward& f, const Var& x) const override {
    const MoeConfig& c = config();
    Routing r;
    r.logits = logits(f, x);
    r.probabilities = ops::softmax(r.logits);
    r.choices = ops::top_k(
        ops::limit_to_groups(r.probabilities.value, {.count = c.n_group, .kept = c.topk_group}),
        c.num_experts_per_tok);
    r.gates = ops::gates(r.probabilities, r.choices,
                         {.normalize = c.norm_topk_prob, .scale = c.routed_scaling_factor});
    r.plan = plan(f, r.choices);
    r.wanted = r.choices.numel();
    return r;
  }
  std::string_view kind() const override { return "SoftmaxTopKRouter"; }
};

}  // namespace

RouterComponent softmax_topk_router() {
  return router_component<SoftmaxTopK>(
      {.name = "softmax_topk",
       .summary = "the k most probable experts, optionally of the best groups only",
       .source = "Jiang et al. 2024, arXiv:2401.04088; DeepSeek-AI 2024, arXiv:2405.04434"});
}

}  // namespace lathe
