// BLOOM: ALiBi, a norm behind the embedding, a fused projection head by head.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"vocab_size", "vocab_size"},
    {"hidden_size", "hidden_size"},
    {"n_layer", "num_hidden_layers"},
    {"n_head", "num_attention_heads"},
    {"layer_norm_epsilon", "norm.eps"},
    {"tie_word_embeddings", "tie_word_embeddings"},
    {"attention_dropout", "attention_dropout"},
    {"hidden_dropout", "hidden_dropout"},
    {"initializer_range", "initializer_range"},
};

constexpr ConfigKey kOtherKeys[] = {{"num_hidden_layers", "num_hidden_layers"},
                                    {"num_attention_heads", "num_attention_heads"},
                                    {"n_embed", "hidden_size"}};

constexpr FixedKey kFixed[] = {{"apply_residual_connection_post_layernorm", "false"}};

constexpr WeightRule kWeights[] = {
    {"transformer.word_embeddings", "embedding"},
    {"transformer.word_embeddings_layernorm", "embedding_norm"},
    {"transformer.h.{}.input_layernorm", "layers.{}.attention_norm"},
    {"transformer.h.{}.self_attention.query_key_value", "layers.{}.attention.qkv", -1,
     DiskLayout::kGroupedHeads},
    {"transformer.h.{}.self_attention.dense", "layers.{}.attention.output"},
    {"transformer.h.{}.post_attention_layernorm", "layers.{}.ffn_norm"},
    {"transformer.h.{}.mlp.dense_h_to_4h", "layers.{}.ffn.up"},
    {"transformer.h.{}.mlp.dense_4h_to_h", "layers.{}.ffn.down"},
    {"transformer.ln_f", "final_norm"},
    {"lm_head", "head"},
};

ModelConfig defaults() {
  ModelConfig c = gpt2_family().defaults();
  c.position.kind = "alibi";
  c.norm.embedding = true;
  c.max_position_embeddings = 2048;
  return c;
}

}  // namespace

const Family& bloom_family() {
  static const Family family = {
      .name = "bloom",
      .architecture = "BloomForCausalLM",
      .summary = "LayerNorm, ALiBi, MHA, GELU, a norm after the embedding",
      .source = "BigScience 2022, arXiv:2211.05100",
      .defaults = defaults,
      .keys = {kKeys},
      .fixed = kFixed,
      .other_keys = kOtherKeys,
      .weights = {kWeights},
  };
  return family;
}

}  // namespace lathe
