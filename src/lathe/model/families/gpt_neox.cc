// GPT-NeoX-20B and Pythia: attention and feed-forward side by side behind a norm each, rotary
// positions in a quarter of the channels, a fused projection head by head.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/model/families/shared.h"
#include "lathe/nn/position/rope.h"

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

constexpr std::string_view kHookKeys[] = {"rotary_pct", "rotary_emb_base", "is_decoder"};

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
  c.position.get<RopeConfig>().partial_rotary_factor = 0.25;
  c.parallel_block = "two_norms";
  c.tie_word_embeddings = false;
  c.max_position_embeddings = 2048;
  return c;
}

constexpr OldEnding kOldEndings[] = {{"embed_out.weight", "lm_head.weight"}};

// Before transformers 5 the rotary settings had names of their own, which count where the block
// says nothing. Those that other families have beside the block mean nothing here, so they must not
// say something else.
void read(const Json& theirs, Json& ours) {
  Json json = theirs;
  for (const auto& [old, now] :
       {std::pair{"rotary_pct", "partial_rotary_factor"}, {"rotary_emb_base", "rope_theta"}}) {
    json.erase(now);
    if (const Json value = first_of(theirs, {old}); !value.is_null()) json[now] = value;
  }
  read_partial_rope(json, ours);
  const ModelConfig usual = defaults();
  const auto& rope = usual.position.get<RopeConfig>();
  for (const auto& [key, otherwise] : {std::pair{"rope_theta", rope.rope_theta},
                                       {"partial_rotary_factor", rope.partial_rotary_factor}}) {
    const Json beside = first_of(theirs, {key}),
               counts = ours["position"].value(key, Json(otherwise));
    require(beside.is_null() || beside == counts, ErrorKind::kConfig, "config.json",
            "{} is {} outside rope_parameters, but gpt_neox models use {}; remove it or make them "
            "equal",
            key, beside.dump(), counts.dump());
  }
}

void write(const ModelConfig& c, Json& theirs) {
  write_rope(c, theirs);
  const auto& rope = c.position.get<RopeConfig>();
  theirs["rotary_pct"] = rope.partial_rotary_factor;
  theirs["rotary_emb_base"] = rope.rope_theta;
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
      .hook_keys = {rope_keys(), kHookKeys},
      .weights = {kWeights},
      .read = read,
      .write = write,
      .old_endings = kOldEndings,
  };
  return family;
}

}  // namespace lathe
