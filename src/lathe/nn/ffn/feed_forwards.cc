#include "lathe/nn/ffn/ffn.h"

namespace lathe {

std::span<const CatalogueEntry<MakeFeedForward>> feed_forwards() {
  static constexpr CatalogueEntry<MakeFeedForward> kFeedForwards[] = {
      {"mlp", "down(f(up(x)))", "Vaswani et al. 2017, arXiv:1706.03762", make_mlp},
      {"gated", "down(f(gate(x)) · up(x)): SwiGLU with hidden_act = silu, GeGLU with gelu",
       "Shazeer 2020, arXiv:2002.05202", make_gated},
  };
  return kFeedForwards;
}

}  // namespace lathe
