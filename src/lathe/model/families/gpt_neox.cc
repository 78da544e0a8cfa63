// GPT-NeoX-20B and Pythia: attention and feed-forward side by side behind a norm each, rotary
// positions in a quarter of the channels, a fused projection head by head.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"intermediate_size", "intermediate_size"},
    {"hidden_act", "hidden_act", &kActivationSpelling},
    {"layer_norm_eps", "norm.eps"},
    {"attention_bias", "attention_bias"},
    {"use_parallel_residual", "parallel_block", &kParallelSpelling},
    {"hidden_dropout", "hidden_dropout"},
    {"initializer_range", "initializer_range"},
};

constexpr WeightRule kWeights[] = {
    {"gpt_neox.embed_in", "embedding"},
    {"gpt_neox.layers.{}.input_layernorm", "layers.{}.attention_norm"},
    {"gpt_neox.layers.{}.post_attention_layernorm", "layers.{}.ffn_norm"},
    {"gpt_neox.layers.{}.attention.query_key_value", "layers.{}.attention.qkv", -1,
     DiskLayout::kGroupedHeads},
    {"gpt_neox.layers.{}.attention.dense", "layers.{}.attention.output"},
    {"gpt_neox.layers.{}.mlp.dense_h_to_4h", "layers.{}.ffn.up"},
    {"gpt_neox.layers.{}.mlp.dense_4h_to_h", "layers.{}.ffn.down"},
    {"gpt_neox.final_layer_norm", "final_norm"},
    {"embed_out", "head"},
};

ModelConfig defaults() {
  ModelConfig c = gpt2_family().defaults();
  c.hidden_act = "gelu";
  c.position.kind = "rope";
  c.position.partial_rotary_factor = 0.25;
  c.parallel_block = "two_norms";
  c.tie_word_embeddings = false;
  c.max_position_embeddings = 2048;
  return c;
}

// Before transformers 5 the rotary settings had names of their own.
void read(const Json& theirs, Json& ours) {
  if (theirs.contains("rotary_pct"))
    ours["position"]["partial_rotary_factor"] = theirs.at("rotary_pct");
  if (theirs.contains("rotary_emb_base"))
    ours["position"]["rope_theta"] = theirs.at("rotary_emb_base");
  read_rope(theirs, ours);
}

void write(const ModelConfig& c, Json& theirs) {
  write_rope(c, theirs);
  theirs["rope_parameters"]["partial_rotary_factor"] = c.position.partial_rotary_factor;
  theirs["rotary_pct"] = c.position.partial_rotary_factor;
  theirs["rotary_emb_base"] = c.position.rope_theta;
}

}  // namespace

const Family& gpt_neox_family() {
  static const Family family = {
      .name = "gpt_neox",
      .architecture = "GPTNeoXForCausalLM",
      .summary = "parallel block with two LayerNorms, partial rotary positions, MHA, GELU",
      .source = "Black et al. 2022, arXiv:2204.06745; Biderman et al. 2023, arXiv:2304.01373",
      .defaults = defaults,
      .keys = {basic_keys(), kKeys},
      .weights = {kWeights},
      .read = read,
      .write = write,
  };
  return family;
}

}  // namespace lathe
