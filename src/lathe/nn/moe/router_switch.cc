// The most probable expert alone, weighted by its probability. Capacity is counted for each
// sequence in the order of its tokens, and a token over capacity gets zeros, so that only the
// residual passes. transformers 5.23 does the same: SwitchTransformersTop1Router casts its input to
// f32, multiplies the jitter in, takes the softmax in f32 and counts expert_capacity by a
// cumulative sum over the sequence; it rounds probabilities to the model's dtype before the argmax,
// which decides differently from here only between experts that bf16 cannot tell apart.

#include "lathe/nn/moe/linear_router.h"
#include "lathe/ops/moe_routing.h"

namespace lathe {
namespace {

class Switch : public LinearRouter {
 public:
  using LinearRouter::LinearRouter;

  static RouterTraits traits(const RouterShape&, const NoConfig&) { return {.choices = 1}; }

  Routing route(const Forward& f, const Var& x) const override {
    Routing r;
    r.logits = logits(f, x);
    r.probabilities = ops::softmax(r.logits);
    r.choices = ops::top_k(r.probabilities.value, 1);
    r.gates = ops::gates(r.probabilities, r.choices, {.scale = config().routed_scaling_factor});
    r.plan = plan(f, r.choices);
    r.wanted = r.choices.numel();
    return r;
  }
  std::string_view kind() const override { return "SwitchRouter"; }
};

}  // namespace

RouterComponent switch_router() {
  return router_component<Switch>(
      {.name = "switch",
       .summary = "the most probable expert, up to the expert's capacity",
       .source = "Fedus et al. 2021, arXiv:2101.03961"});
}

}  // namespace lathe
