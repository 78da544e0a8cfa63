#include "lathe/nn/attention/attention.h"

namespace lathe {

std::span<const CatalogueEntry<MakeAttention>> attentions() {
  static constexpr CatalogueEntry<MakeAttention> kAttentions[] = {
      {"grouped",
       "num_key_value_heads shared by num_attention_heads: equal is MHA, one is MQA, between is "
       "GQA",
       "Vaswani et al. 2017, arXiv:1706.03762; Shazeer 2019, arXiv:1911.02150; Ainslie et al. "
       "2023, "
       "arXiv:2305.13245",
       make_grouped_attention},
  };
  return kAttentions;
}

}  // namespace lathe
