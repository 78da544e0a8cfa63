// Routers: which experts a token goes to, and with what weight. docs/adding/router.md.
#pragma once

#include <memory>
#include <span>

#include "lathe/base/catalogue.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"
#include "lathe/nn/moe/moe_config.h"
#include "lathe/ops/moe_plan.h"

namespace lathe {

// What a router decided about N = B·T tokens. Vars are in the accumulation dtype.
struct Routing {
  ops::ExpertPlan plan;
  Var gates;          // one element per slot of the plan
  Var logits;         // [N, E], for the z-loss
  Var probabilities;  // [N, E], rows sum to 1: for the balance loss and the entropy
  // i32 [N, k], what was chosen before any was dropped, for the balance loss; undefined when the
  // router balances by construction.
  Tensor choices;
  int64_t wanted = 0;  // slots that would be filled if experts took any number of tokens
};

class Router : public Module {
 public:
  // x [B,T,C]. The random streams are f.rng's, so recomputation decides the same.
  virtual Routing route(const Forward& f, const Var& x) = 0;
  // What is added to scores for the choice only and moved by update_router_biases() after a step;
  // nullptr for none.
  virtual Parameter* correction_bias() { return nullptr; }
};

struct RouterOptions {
  int64_t hidden_size = 0;
  double init_std = 0.02;
};

using MakeRouter = std::unique_ptr<Router> (*)(const RouterOptions&, const MoeConfig&);
std::span<const CatalogueEntry<MakeRouter>> routers();

// One function per file in moe/router_*.cc.
std::unique_ptr<Router> make_softmax_topk_router(const RouterOptions& options,
                                                 const MoeConfig& config);
std::unique_ptr<Router> make_switch_router(const RouterOptions& options, const MoeConfig& config);
std::unique_ptr<Router> make_gshard_router(const RouterOptions& options, const MoeConfig& config);
std::unique_ptr<Router> make_expert_choice_router(const RouterOptions& options,
                                                  const MoeConfig& config);
std::unique_ptr<Router> make_sigmoid_router(const RouterOptions& options, const MoeConfig& config);

}  // namespace lathe
