#include "lathe/nn/moe/router.h"

namespace lathe {

std::span<const CatalogueEntry<MakeRouter>> routers() {
  static constexpr CatalogueEntry<MakeRouter> kRouters[] = {
      {"softmax_topk", "the k most probable experts, also of the best groups only",
       "Jiang et al. 2024, arXiv:2401.04088; DeepSeek-AI 2024, arXiv:2405.04434",
       make_softmax_topk_router},
      {"switch", "the most probable expert, for as many tokens as it has capacity",
       "Fedus et al. 2021, arXiv:2101.03961", make_switch_router},
      {"gshard", "the two most probable experts, the second by chance while training",
       "Lepikhin et al. 2020, arXiv:2006.16668", make_gshard_router},
      {"expert_choice", "every expert takes its best tokens; not causal",
       "Zhou et al. 2022, arXiv:2202.09368", make_expert_choice_router},
      {"sigmoid", "scores independent of each other, balanced by a bias instead of a loss",
       "DeepSeek-AI 2024, arXiv:2412.19437", make_sigmoid_router},
  };
  return kRouters;
}

}  // namespace lathe
