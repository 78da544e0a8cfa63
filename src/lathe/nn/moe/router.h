// Routers decide which experts a token goes to, and with which weight. See docs/adding/router.md.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "lathe/config/component.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"
#include "lathe/nn/moe/moe_config.h"
#include "lathe/ops/moe_plan.h"

namespace lathe {

// What a router decided about N tokens. Vars are in the accumulation dtype.
struct Routing {
  ops::ExpertPlan plan;
  Var gates;          // one element per slot of the plan
  Var logits;         // [N, E], for the z-loss
  Var probabilities;  // [N, E], rows sum to 1: for the balance loss and the entropy
  // i32 [N, k], the choices before any was dropped, for the balance loss; undefined if the router
  // balances by construction.
  Tensor choices;
  int64_t wanted = 0;  // slots that would be filled if experts took any number of tokens
};

class Router : public Module {
 public:
  // x [N,C]. Random numbers come from f.rng, so recomputation makes the same decision.
  virtual Routing route(const Forward& f, const Var& x) const = 0;
  // A bias that is added to the scores for the choice only, and that update_router_biases() changes
  // after a step; nullptr for none.
  virtual Parameter* correction_bias() { return nullptr; }
  // The amount by which a step changes its elements.
  virtual double bias_update_rate() const { return 0; }
};

// What every router is given: sizes, and the keys that routers share.
struct RouterShape {
  int64_t hidden_size = 0;
  double init_std = 0.02;
  const MoeConfig& config;
};

// The properties of a kind that are known without building it.
struct RouterTraits {
  std::optional<int64_t> choices = {};  // of a token; default: num_experts_per_tok
  bool causal = true;                   // a token's experts do not depend on later tokens
  bool groups = false;                  // chooses from the best groups of experts
  double balance = 0.01;                // router_aux_loss_coef if that is not set
};

using RouterComponent = Component<Router, RouterShape, RouterTraits>;
std::span<const RouterComponent> routers();

template <class Class, class Config = NoConfig>
RouterComponent router_component(const ComponentText& text) {
  return component<Router, RouterShape, Class, Config, RouterTraits>(text);
}

}  // namespace lathe
