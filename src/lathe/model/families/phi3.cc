// Phi-3: Llama with fused projections on disk, and LongRoPE.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps"},
    {"resid_pdrop", "hidden_dropout"},
    {"embd_pdrop", "hidden_dropout"},
    {"sliding_window", "sliding_window"},
};

constexpr FixedKey kFixed[] = {{"attention_bias", "false"}};

constexpr WeightRule kWeights[] = {
    {"model.layers.{}.self_attn.qkv_proj", "layers.{}.attention.qkv"},
    {"model.layers.{}.self_attn.o_proj", "layers.{}.attention.output"},
    {"model.layers.{}.mlp.gate_up_proj", "layers.{}.ffn.gate_up"},
    {"model.layers.{}.mlp.down_proj", "layers.{}.ffn.down"},
};

// LongRoPE had other names; the length of the first training stands beside the block.
void read(const Json& theirs, Json& ours) {
  Json json = theirs;
  for (const char* block : {"rope_scaling", "rope_parameters"})
    for (const char* key : {"rope_type", "type"})
      if (json.contains(block) && json[block].is_object() &&
          json[block].value(key, Json()) == "yarn")
        json[block][key] = "longrope";
  if (first_of(json, {"original_max_position_embeddings"}).is_null())
    json["original_max_position_embeddings"] = 4096;
  read_partial_rope(json, ours);
}

// Of scaled rotary positions transformers' Phi-3 takes LongRoPE only; others are written unscaled,
// so that such a model is not saved as one.
void write(const ModelConfig& config, Json& theirs) {
  ModelConfig c = config;
  RopeScalingConfig& scaling = c.position.get<RopeConfig>().scaling;
  if (scaling.kind != "longrope") scaling = {};
  write_rope(c, theirs);
  theirs["original_max_position_embeddings"] =
      scaling.original_max_position_embeddings.value_or(c.max_position_embeddings);
}

}  // namespace

const Family& phi3_family() {
  static const Family family = {
      .name = "phi3",
      .architecture = "Phi3ForCausalLM",
      .summary = "RMSNorm, rotary positions, GQA, SwiGLU; fused projections",
      .source = "Abdin et al. 2024, arXiv:2404.14219",
      .defaults = [] { return ModelConfig(); },
      .keys = {standard_keys(), kKeys},
      .fixed = kFixed,
      .hook_keys = {rope_keys()},
      .weights = {decoder_ends(), pre_norms(), kWeights},
      .read = read,
      .write = write,
  };
  return family;
}

}  // namespace lathe
