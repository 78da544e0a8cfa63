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
      {"latent",
       "keys and values of all heads from one narrow vector a token, which is all that the cache "
       "keeps (MLA)",
       "DeepSeek-AI 2024, arXiv:2405.04434", make_latent_attention},
  };
  return kAttentions;
}

AttentionSite site_of(const AttentionOptions& options) {
  return {.layer = options.layer, .local = options.window > 0, .scale = options.scale};
}

Var attend_with(const Forward& f, const AttentionOptions& options, const std::array<Var, 3>& qkv,
                const ops::AttentionInputs& inputs) {
  kernels::AttentionSpec spec;
  spec.scale = static_cast<float>(options.scale);
  spec.softcap = static_cast<float>(options.softcap);
  spec.causal = options.causal;
  spec.window = options.window;
  if (f.training && options.dropout > 0.0) {
    spec.dropout = static_cast<float>(options.dropout);
    spec.dropout_key = f.rng.fork("attention_weights").key();
  }
  return ops::attention(qkv[0], qkv[1], qkv[2], spec, inputs);
}

Var attend(const Forward& f, const AttentionOptions& options, Position& position,
           const std::array<Var, 3>& qkv) {
  ops::AttentionInputs inputs;
  inputs.segments = f.segments;
  inputs.prefix = f.prefix;
  position.add_to_scores(f, site_of(options), qkv[0], qkv[1], inputs);
  return attend_with(f, options, qkv, inputs);
}

}  // namespace lathe
