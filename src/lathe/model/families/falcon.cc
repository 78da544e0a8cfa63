// Falcon in its three forms: 7B (one key/value head, parallel behind one norm), 40B and 180B
// (grouped heads, parallel behind two norms), and RW (ALiBi, one branch after the other, biases).

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"ffn_hidden_size", "intermediate_size"},
    {"activation", "hidden_act", &kActivationSpelling},
    {"layer_norm_epsilon", "norm.eps"},
    {"bias", "attention_bias"},
    {"bias", "mlp_bias"},
    {"hidden_dropout", "hidden_dropout"},
    {"initializer_range", "initializer_range"},
};

constexpr ConfigKey kOtherKeys[] = {{"n_embed", "hidden_size"}};

constexpr FixedKey kFixed[] = {{"apply_residual_connection_post_layernorm", "false"}};

constexpr std::string_view kHookKeys[] = {"new_decoder_architecture",
                                          "num_ln_in_parallel_attn",
                                          "multi_query",
                                          "num_kv_heads",
                                          "parallel_attn",
                                          "alibi"};

constexpr WeightRule kWeights[] = {
    {"transformer.word_embeddings", "embedding"},
    {"transformer.h.{}.self_attention.query_key_value", "layers.{}.attention.qkv", -1,
     DiskLayout::kGroupedHeads},
    {"transformer.h.{}.self_attention.dense", "layers.{}.attention.output"},
    {"transformer.h.{}.mlp.dense_h_to_4h", "layers.{}.ffn.up"},
    {"transformer.h.{}.mlp.dense_4h_to_h", "layers.{}.ffn.down"},
    {"transformer.ln_f", "final_norm"},
    {"lm_head", "head"},
};
constexpr WeightRule kOneNormAfterTheOther[] = {
    {"transformer.h.{}.input_layernorm", "layers.{}.attention_norm"},
    {"transformer.h.{}.post_attention_layernorm", "layers.{}.ffn_norm"},
};
constexpr WeightRule kTwoNorms[] = {
    {"transformer.h.{}.ln_attn", "layers.{}.attention_norm"},
    {"transformer.h.{}.ln_mlp", "layers.{}.ffn_norm"},
};

ModelConfig defaults() {
  ModelConfig c;
  c.norm.kind = "layer";
  c.norm.bias = true;
  c.ffn.kind = "mlp";
  c.hidden_act = "gelu";
  c.num_key_value_heads = 1;
  c.parallel_block = "shared_norm";
  c.tie_word_embeddings = true;
  return c;
}

void read(const Json& theirs, Json& ours) {
  const auto flag = [&](const char* key, bool absent) {
    return theirs.contains(key) ? theirs.at(key) == true : absent;  // null is false
  };
  const bool grouped = flag("new_decoder_architecture", false);
  const Json& heads = theirs.at("num_attention_heads");
  const bool one = flag("multi_query", true);
  const Json own = first_of(theirs, {"num_kv_heads", "num_attention_heads"});
  ours["num_key_value_heads"] = grouped ? own : one ? Json(1) : heads;
  if (grouped) {
    const Json norms = theirs.value("num_ln_in_parallel_attn", Json());
    ours["parallel_block"] = norms == 1 ? "shared_norm" : "two_norms";
  } else {
    ours["parallel_block"] = flag("parallel_attn", true) ? "shared_norm" : "none";
  }
  if (flag("alibi", false)) {
    ours["position"] = {{"kind", "alibi"}, {"alibi", "falcon"}};
  } else {
    read_rope(theirs, ours);
  }
}

void write(const ModelConfig& c, Json& theirs) {
  const bool two_norms = c.parallel_block == "two_norms";
  const bool grouped = two_norms || (c.kv_heads() != 1 && c.kv_heads() != c.num_attention_heads);
  theirs["new_decoder_architecture"] = grouped;
  theirs["num_ln_in_parallel_attn"] = grouped ? Json(two_norms ? 2 : 1) : Json();
  theirs["multi_query"] = c.kv_heads() == 1;
  theirs["num_kv_heads"] = c.kv_heads();
  theirs["parallel_attn"] = c.parallel_block != "none";
  theirs["alibi"] = c.position.kind == "alibi";
  if (c.position.kind != "alibi") write_rope(c, theirs);
}

std::span<const WeightRule> norms_of(const ModelConfig& c) {
  if (c.parallel_block == "two_norms") return kTwoNorms;
  return kOneNormAfterTheOther;
}

}  // namespace

const Family& falcon_family() {
  static const Family family = {
      .name = "falcon",
      .architecture = "FalconForCausalLM",
      .summary =
          "LayerNorm, MQA or GQA with rotary positions in parallel blocks, or MHA with ALiBi",
      .source = "Almazrouei et al. 2023, arXiv:2311.16867",
      .defaults = defaults,
      .keys = {basic_keys(), kKeys},
      .fixed = kFixed,
      .other_keys = kOtherKeys,
      .hook_keys = {rope_keys(), kHookKeys},
      .weights = {kWeights},
      .read = read,
      .write = write,
      .weights_of = norms_of,
  };
  return family;
}

}  // namespace lathe
