#include "lathe/nn/ffn/ffn.h"

namespace lathe {

std::span<const CatalogueEntry<MakeFeedForward>> feed_forwards() {
  static constexpr CatalogueEntry<MakeFeedForward> kFeedForwards[] = {
      {"mlp", "down(f(up(x)))", "Vaswani et al. 2017, arXiv:1706.03762", make_mlp},
      {"gated", "down(f(gate(x)) · up(x)): SwiGLU with hidden_act = silu, GeGLU with gelu",
       "Shazeer 2020, arXiv:2002.05202", make_gated},
      {"mix", "down(f(conv(up(x)))), a depth-wise convolution over neighbouring tokens (Mix-FFN)",
       "Xie et al. 2021, arXiv:2105.15203", make_mix},
  };
  return kFeedForwards;
}

}  // namespace lathe
