// What most config.json files have in common: the keys of Llama and its successors, and rotary
// positions in the two ways in which transformers has spelled them.

#include "lathe/model/families/shared.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/config.h"

namespace lathe {

using Json = nlohmann::ordered_json;

namespace {

struct ActivationName {
  std::string_view theirs, ours;
};
// The first line of each of ours is the one that is written.
constexpr ActivationName kActivationNames[] = {
    {"silu", "silu"},          {"swish", "silu"},
    {"gelu", "gelu"},          {"gelu_pytorch_tanh", "gelu_tanh"},
    {"gelu_new", "gelu_tanh"}, {"gelu_fast", "gelu_tanh"},
    {"relu", "relu"},          {"relu2", "relu2"},
};

Json read_activation(const Json& theirs) {
  for (const auto& n : kActivationNames)
    if (theirs == n.theirs) return std::string(n.ours);
  fail(ErrorKind::kConfig, "config.json", "activation {} is not one that Lathe computes",
       theirs.dump());
}

Json write_activation(const Json& ours) {
  for (const auto& n : kActivationNames)
    if (ours == n.ours) return std::string(n.theirs);
  return nullptr;
}

Json write_old_activation(const Json& ours) {
  return ours == "gelu_tanh" ? Json("gelu_new") : write_activation(ours);
}

Json read_inverse_sqrt(const Json& theirs) {
  require(theirs.is_number() && theirs > 0, ErrorKind::kConfig, "config.json",
          "query_pre_attn_scalar is {}, expected a number above 0", theirs.dump());
  return 1.0 / std::sqrt(theirs.get<double>());
}

Json write_inverse_sqrt(const Json& ours) {
  const double y = ours.get<double>(), x = 1.0 / (y * y);
  // Whole numbers stay whole: transformers insists.
  if (std::abs(x - std::round(x)) < 1e-6 * x) return static_cast<int64_t>(std::round(x));
  return x;
}

// {"true": first, "false": second}.
template <const char* kTrue, const char* kFalse>
constexpr Spelling kFlagFor = {
    [](const Json& theirs) { return Json(theirs == true ? kTrue : kFalse); },
    [](const Json& ours) {
      return ours == kTrue ? Json(true) : ours == kFalse ? Json(false) : Json();
    }};

constexpr char kPre[] = "pre", kPost[] = "post", kTwoNorms[] = "two_norms", kNone[] = "none";

}  // namespace

const Spelling kActivationSpelling = {read_activation, write_activation};
const Spelling kGeluNewSpelling = {read_activation, write_old_activation};
const Spelling kInverseSqrtSpelling = {read_inverse_sqrt, write_inverse_sqrt};
const Spelling kZeroIsNullSpelling = {[](const Json& theirs) { return theirs; },
                                      [](const Json& ours) { return ours == 0 ? Json() : ours; }};
const Spelling kPreNormSpelling = kFlagFor<kPre, kPost>;
const Spelling kParallelSpelling = kFlagFor<kTwoNorms, kNone>;

std::span<const ConfigKey> standard_keys() {
  static constexpr ConfigKey kKeys[] = {
      // basic_keys()
      {"vocab_size", "vocab_size"},
      {"hidden_size", "hidden_size"},
      {"num_hidden_layers", "num_hidden_layers"},
      {"num_attention_heads", "num_attention_heads"},
      {"max_position_embeddings", "max_position_embeddings"},
      {"tie_word_embeddings", "tie_word_embeddings"},
      {"attention_dropout", "attention_dropout"},
      // and the rest
      {"num_key_value_heads", "num_key_value_heads"},
      {"head_dim", "head_dim"},
      {"intermediate_size", "intermediate_size"},
      {"hidden_act", "hidden_act", &kActivationSpelling},
      {"initializer_range", "initializer_range"},
  };
  return kKeys;
}

std::span<const ConfigKey> basic_keys() {
  constexpr size_t kBasic = 7;
  return standard_keys().first(kBasic);
}

std::span<const WeightRule> decoder_ends() {
  static constexpr WeightRule kWeights[] = {
      {"model.embed_tokens", "embedding"},
      {"model.norm", "final_norm"},
      {"lm_head", "head"},
  };
  return kWeights;
}

std::span<const WeightRule> split_attention() {
  static constexpr WeightRule kWeights[] = {
      {"model.layers.{}.self_attn.q_proj", "layers.{}.attention.qkv", 0},
      {"model.layers.{}.self_attn.k_proj", "layers.{}.attention.qkv", 1},
      {"model.layers.{}.self_attn.v_proj", "layers.{}.attention.qkv", 2},
      {"model.layers.{}.self_attn.o_proj", "layers.{}.attention.output"},
      {"model.layers.{}.self_attn.q_norm", "layers.{}.attention.query_norm"},
      {"model.layers.{}.self_attn.k_norm", "layers.{}.attention.key_norm"},
  };
  return kWeights;
}

std::span<const WeightRule> split_gated_mlp() {
  static constexpr WeightRule kWeights[] = {
      {"model.layers.{}.mlp.gate_proj", "layers.{}.ffn.gate_up", 0},
      {"model.layers.{}.mlp.up_proj", "layers.{}.ffn.gate_up", 1},
      {"model.layers.{}.mlp.down_proj", "layers.{}.ffn.down"},
  };
  return kWeights;
}

std::span<const WeightRule> pre_norms() {
  static constexpr WeightRule kWeights[] = {
      {"model.layers.{}.input_layernorm", "layers.{}.attention_norm"},
      {"model.layers.{}.post_attention_layernorm", "layers.{}.ffn_norm"},
  };
  return kWeights;
}

std::span<const WeightRule> split_experts() {
  static constexpr WeightRule kWeights[] = {
      {"model.layers.{}.mlp.gate", "layers.{}.ffn.router"},
      {"model.layers.{}.mlp.experts.{e}.gate_proj", "layers.{}.ffn.experts.gate_up", 0,
       DiskLayout::kPlain, 2},
      {"model.layers.{}.mlp.experts.{e}.up_proj", "layers.{}.ffn.experts.gate_up", 1,
       DiskLayout::kPlain, 2},
      {"model.layers.{}.mlp.experts.{e}.down_proj", "layers.{}.ffn.experts.down", 0,
       DiskLayout::kPlain, 1},
  };
  return kWeights;
}

std::span<const ConfigKey> sparse_keys() {
  static constexpr ConfigKey kKeys[] = {
      {"num_experts_per_tok", "moe.num_experts_per_tok"},
      {"norm_topk_prob", "moe.norm_topk_prob", nullptr, "false"},
      {"moe_intermediate_size", "moe.moe_intermediate_size"},
      {"decoder_sparse_step", "moe.decoder_sparse_step"},
      {"mlp_only_layers", "moe.mlp_only_layers"},
      {"router_aux_loss_coef", "moe.router_aux_loss_coef", nullptr, "0.001"},
  };
  return kKeys;
}

void read_windows(const Json& theirs, Json& ours) {
  if (theirs.value("use_sliding_window", false) && theirs.contains("sliding_window")) {
    ours["sliding_window"] = theirs.at("sliding_window");
    if (theirs.contains("layer_types") && theirs.at("layer_types").is_array()) {
      ours["layer_types"] = theirs.at("layer_types");
    } else {
      const auto first = theirs.value("max_window_layers", int64_t{28});
      for (int64_t i = 0; i < theirs.at("num_hidden_layers").get<int64_t>(); ++i)
        ours["layer_types"].push_back(i < first ? "full_attention" : "sliding_attention");
    }
  }
  read_rope(theirs, ours);
}

void write_windows(const ModelConfig& config, Json& theirs) {
  const ModelConfig c = resolved(config);
  theirs["use_sliding_window"] = c.sliding_window.has_value();
  theirs["sliding_window"] = c.sliding_window ? Json(*c.sliding_window) : Json();
  theirs["layer_types"] = c.layer_types;
  write_rope(config, theirs);
}

namespace {

const Json* rope_block(const Json& theirs) {
  for (const char* key : {"rope_parameters", "rope_scaling"})
    if (const auto found = theirs.find(key); found != theirs.end() && found->is_object())
      return &*found;
  return nullptr;
}

// The keys of a rope block that have the same name in position.scaling.
constexpr std::string_view kScalingKeys[] = {
    "factor",           "original_max_position_embeddings",
    "low_freq_factor",  "high_freq_factor",
    "beta_fast",        "beta_slow",
    "attention_factor", "mscale",
    "mscale_all_dim",   "truncate",
    "short_factor",     "long_factor",
};

Json read_scaling(const Json& block, const std::string& type) {
  Json scaling = {{"kind", type}};
  for (std::string_view key : kScalingKeys)
    if (const auto found = block.find(key); found != block.end() && !found->is_null())
      scaling[std::string(key)] = *found;
  return scaling;
}

}  // namespace

void read_rope(const Json& theirs, Json& ours) {
  Json position = Json::object();
  for (const char* key : {"rope_theta", "partial_rotary_factor"})
    if (theirs.contains(key) && !theirs.at(key).is_null()) position[key] = theirs.at(key);
  if (const Json* block = rope_block(theirs)) {
    for (const char* key : {"rope_theta", "partial_rotary_factor"})
      if (block->contains(key)) position[key] = block->at(key);
    const auto type = block->value("rope_type", block->value("type", std::string("default")));
    if (type != "default") {
      position["scaling"] = read_scaling(*block, type);
      // Some keep the original length beside the block (Phi-3).
      const auto length = theirs.find("original_max_position_embeddings");
      if (length != theirs.end() && !length->is_null())
        position["scaling"]["original_max_position_embeddings"] = *length;
    }
  }
  if (!position.empty()) ours["position"].update(position);
}

void write_rope(const ModelConfig& c, Json& theirs) {
  const Json all = write_config(c)["position"];
  Json block = {{"rope_theta", c.position.rope_theta}};
  // transformers has no static NTK scaling: written unscaled, so that no family claims the model.
  const std::string kind = c.position.scaling.kind == "ntk" ? "none" : c.position.scaling.kind;
  block["rope_type"] = kind == "none" ? "default" : kind;
  if (c.position.partial_rotary_factor != 1.0)
    block["partial_rotary_factor"] = c.position.partial_rotary_factor;
  if (kind != "none")
    for (std::string_view key : kScalingKeys)
      if (all["scaling"].contains(key)) block[std::string(key)] = all["scaling"][std::string(key)];
  // Both spellings: rope_theta is read by older releases of transformers, rope_parameters by newer
  // ones.
  theirs["rope_theta"] = c.position.rope_theta;
  theirs["rope_parameters"] = block;
}

}  // namespace lathe
