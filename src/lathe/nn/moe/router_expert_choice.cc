// Each expert takes the tokens of a sequence that give it the highest probability, as many as it
// has capacity for: loads are equal by construction, and a token may get any number of experts. The
// paper chooses among the tokens of a batch, this among those of a sequence, so that a sequence
// does not depend on its neighbours. It still depends on its own later tokens: not causal.

#include <algorithm>

#include "lathe/nn/moe/linear_router.h"
#include "lathe/ops/moe_routing.h"

namespace lathe {
namespace {

class ExpertChoice : public LinearRouter {
 public:
  using LinearRouter::LinearRouter;

  static RouterTraits traits(const RouterShape&, const NoConfig&) { return {.causal = false}; }

  Routing route(const Forward& f, const Var& x) const override {
    const Sequences& sequences = f.rows->sequences;
    Routing r;
    r.logits = logits(f, x);
    r.probabilities = ops::softmax(r.logits);
    Tensor slots({sequences.rows(), experts()}, DType::kI32);  // slot (n, e): e, or -1
    std::ranges::fill(slots.span<int32_t>(), -1);
    for (int64_t b = 0; b < sequences.count(); ++b) {
      const int64_t first = sequences.first(b), tokens = sequences.length(b);
      const int64_t each = tokens_of_expert(f, tokens);
      choose(r.probabilities.value.narrow(0, first, tokens), each, slots.narrow(0, first, tokens));
      r.wanted += experts() * each;
    }
    r.gates = ops::gates(r.probabilities, slots, {.scale = config().routed_scaling_factor});
    r.plan = ops::plan_experts(slots, experts());
    return r;
  }
  std::string_view kind() const override { return "ExpertChoiceRouter"; }

 private:
  int64_t tokens_of_expert(const Forward& f, int64_t tokens) const {
    const int64_t average = config().num_experts_per_tok;  // experts of a token
    const auto limit = capacity(f, tokens, average);
    return std::min(tokens, limit ? *limit : even_share(tokens, average, 1.0));
  }

  void choose(const Tensor& probabilities, int64_t each, const Tensor& slots) const {
    const Tensor chosen = ops::top_k(probabilities.transpose(0, 1).clone(), each);
    for (int64_t e = 0; e < experts(); ++e)
      for (int64_t j = 0; j < each; ++j) {
        const int64_t n = chosen.data<int32_t>()[e * each + j];
        slots.data<int32_t>()[n * experts() + e] = static_cast<int32_t>(e);
      }
  }
};

}  // namespace

RouterComponent expert_choice_router() {
  return router_component<ExpertChoice>(
      {.name = "expert_choice",
       .summary = "every expert chooses its best tokens; not causal",
       .source = "Zhou et al. 2022, arXiv:2202.09368"});
}

}  // namespace lathe
