#include "lathe/nn/moe/router.h"

namespace lathe {

// One per file in moe/router_*.cc.
RouterComponent softmax_topk_router();
RouterComponent switch_router();
RouterComponent gshard_router();
RouterComponent expert_choice_router();
RouterComponent sigmoid_router();

std::span<const RouterComponent> routers() {
  static const RouterComponent kRouters[] = {softmax_topk_router(), switch_router(),
                                             gshard_router(), expert_choice_router(),
                                             sigmoid_router()};
  return kRouters;
}

}  // namespace lathe
