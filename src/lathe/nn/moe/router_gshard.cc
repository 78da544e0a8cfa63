// The two most probable experts, with gates g1/(g1+g2) and g2/(g1+g2). While training the second is
// used only with probability min(1, 2·g2). All first choices of a sequence take their places before
// any second choice; one that chance has left out takes none (in the paper's Algorithm 1 it does).
// The balance loss counts first choices, as there.

#include "lathe/nn/moe/linear_router.h"
#include "lathe/ops/moe_routing.h"

namespace lathe {
namespace {

class GShard : public LinearRouter {
 public:
  using LinearRouter::LinearRouter;

  static RouterTraits traits(const RouterShape&, const NoConfig&) { return {.choices = 2}; }

  Routing route(const Forward& f, const Var& x) const override {
    Routing r;
    r.logits = logits(f, x);
    r.probabilities = ops::softmax(r.logits);
    const Tensor both = ops::top_k(r.probabilities.value, 2);
    r.gates = ops::gates(r.probabilities, both,
                         {.normalize = true, .scale = config().routed_scaling_factor});
    r.choices = first_of(both);
    const Tensor kept =
        f.training() ? by_chance(both, r.gates.value, f.rng.fork("second_expert")) : both;
    r.plan = plan(f, kept);
    r.wanted = kept.numel() - left_out(kept);
    return r;
  }
  std::string_view kind() const override { return "GShardRouter"; }

 private:
  static Tensor first_of(const Tensor& both) {
    Tensor first({both.size(0), 1}, DType::kI32);
    for (int64_t n = 0; n < both.size(0); ++n)
      first.data<int32_t>()[n] = both.data<int32_t>()[2 * n];
    return first;
  }

  static int64_t left_out(const Tensor& choices) {
    int64_t count = 0;
    for (int32_t e : choices.span<int32_t>()) count += e < 0 ? 1 : 0;
    return count;
  }

  Tensor by_chance(const Tensor& both, const Tensor& gates, const Rng& rng) const {
    Tensor kept = both.clone();
    const std::vector<double> weight = gates.to_vector();
    for (int64_t n = 0; n < kept.size(0); ++n) {
      const double second = weight[static_cast<size_t>(2 * n + 1)] / config().routed_scaling_factor;
      if (2.0 * second <= static_cast<double>(rng.uniform(static_cast<uint64_t>(n))))
        kept.data<int32_t>()[2 * n + 1] = -1;
    }
    return kept;
  }
};

}  // namespace

RouterComponent gshard_router() {
  return router_component<GShard>(
      {.name = "gshard",
       .summary = "the two most probable experts; in training the second is used at random",
       .source = "Lepikhin et al. 2020, arXiv:2006.16668"});
}

}  // namespace lathe
