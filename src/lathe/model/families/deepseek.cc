// DeepSeek-V2 and DeepSeek-V3: latent attention, fine-grained experts with shared ones, the first
// layers dense. V3 routes by sigmoids with biases that balance, and has modules for multi-token
// prediction behind its last layer, which transformers neither reads nor writes.

#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/model/families/shared.h"
#include "lathe/nn/attention/latent.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"intermediate_size", "intermediate_size"},
    {"hidden_act", "hidden_act", &kActivationSpelling},
    {"initializer_range", "initializer_range"},
    {"rms_norm_eps", "norm.eps", nullptr, "1e-6"},
    {"attention_bias", "attention_bias"},
    {"kv_lora_rank", "attention.kv_lora_rank"},
    {"q_lora_rank", "attention.q_lora_rank", nullptr, "1536"},
    {"qk_nope_head_dim", "attention.qk_nope_head_dim"},
    {"qk_rope_head_dim", "attention.qk_rope_head_dim"},
    {"v_head_dim", "attention.v_head_dim"},
    {"first_k_dense_replace", "moe.first_k_dense_replace"},
    {"n_routed_experts", "moe.num_experts"},
    {"n_shared_experts", "moe.n_shared_experts"},
    {"num_experts_per_tok", "moe.num_experts_per_tok"},
    {"moe_intermediate_size", "moe.moe_intermediate_size"},
    {"routed_scaling_factor", "moe.routed_scaling_factor"},
};

constexpr ConfigKey kV2Keys[] = {{"mlp_bias", "mlp_bias"}};

constexpr ConfigKey kV3Keys[] = {
    {"norm_topk_prob", "moe.norm_topk_prob"},
    {"n_group", "moe.n_group"},
    {"topk_group", "moe.topk_group"},
    {"num_nextn_predict_layers", "num_nextn_predict_layers"},
};

// Named by DeepSeek's own files; transformers knows one value of each.
constexpr FixedKey kV2Fixed[] = {{"scoring_func", "\"softmax\""}, {"moe_layer_freq", "1"}};
constexpr FixedKey kV3Fixed[] = {
    {"scoring_func", "\"sigmoid\""}, {"topk_method", "\"noaux_tc\""}, {"moe_layer_freq", "1"}};

constexpr ConfigKey kV2OtherKeys[] = {{"num_experts", "moe.num_experts"}};
constexpr ConfigKey kV3OtherKeys[] = {{"num_local_experts", "moe.num_experts"},
                                      {"num_mtp_layers", "num_nextn_predict_layers"}};

constexpr std::string_view kV2HookKeys[] = {
    "num_key_value_heads", "head_dim",       "topk_method", "n_group",
    "topk_group",          "norm_topk_prob", "qk_head_dim"};
constexpr std::string_view kV3HookKeys[] = {"num_key_value_heads", "head_dim", "rope_interleave",
                                            "qk_head_dim"};

constexpr WeightRule kV3Weights[] = {
    {"model.layers.{}.enorm", "further.{}.ahead_norm"},
    {"model.layers.{}.hnorm", "further.{}.hidden_norm"},
    {"model.layers.{}.eh_proj", kMtpJoin},
    {"model.layers.{}.shared_head.norm", "further.{}.norm"},
};
// Those modules' copies of the model's own.
constexpr std::string_view kV3Ignored[] = {"embed_tokens.weight", "shared_head.head.weight"};

constexpr WeightRule kWeights[] = {
    {"model.layers.{}.self_attn.q_proj", "layers.{}.attention.query"},
    {"model.layers.{}.self_attn.q_a_proj", "layers.{}.attention.query_down"},
    {"model.layers.{}.self_attn.q_b_proj", "layers.{}.attention.query_up"},
    {"model.layers.{}.self_attn.q_a_layernorm", "layers.{}.attention.query_norm"},
    {"model.layers.{}.self_attn.kv_a_proj_with_mqa", "layers.{}.attention.key_value_down"},
    {"model.layers.{}.self_attn.kv_a_layernorm", "layers.{}.attention.key_value_norm"},
    {"model.layers.{}.self_attn.kv_b_proj", "layers.{}.attention.key_value_up"},
    {"model.layers.{}.self_attn.o_proj", "layers.{}.attention.output"},
    {"model.layers.{}.mlp.shared_experts.gate_proj", "layers.{}.ffn.shared.gate_up", 0},
    {"model.layers.{}.mlp.shared_experts.up_proj", "layers.{}.ffn.shared.gate_up", 1},
    {"model.layers.{}.mlp.shared_experts.down_proj", "layers.{}.ffn.shared.down"},
};

ModelConfig v2_defaults() {
  ModelConfig c;
  c.norm.eps = 1e-6;
  c.position.get<RopeConfig>().rope_layout = "interleaved";
  c.attention.kind = "latent";
  c.attention.norm_eps = 1e-6;  // fixed there
  auto& latent = c.attention.get<LatentConfig>();
  latent.kv_lora_rank = 512;
  latent.qk_nope_head_dim = 128;
  latent.qk_rope_head_dim = 64;
  latent.v_head_dim = 128;
  c.moe.num_experts = 64;
  c.moe.n_shared_experts = 2;
  c.moe.num_experts_per_tok = 6;
  c.moe.moe_intermediate_size = 1407;
  c.moe.norm_topk_prob = false;
  return c;
}

ModelConfig v3_defaults() {
  ModelConfig c = v2_defaults();
  c.moe.router = "sigmoid";
  c.moe.num_experts = 256;
  c.moe.n_shared_experts = 1;
  c.moe.num_experts_per_tok = 8;
  c.moe.moe_intermediate_size = 2048;
  c.moe.norm_topk_prob = true;
  c.moe.routed_scaling_factor = 2.5;
  c.moe.n_group = 8;
  c.moe.topk_group = 4;
  c.moe.first_k_dense_replace = 3;
  return c;
}

void read_v2(const Json& theirs, Json& ours) {
  read_rope(theirs, ours);
  const std::string method = theirs.value("topk_method", std::string("greedy"));
  require(method == "greedy" || method == "group_limited_greedy", ErrorKind::kConfig, "config.json",
          "topk_method is '{}', expected 'greedy' or 'group_limited_greedy'", method);
  if (method == "greedy") return;
  for (const char* key : {"n_group", "topk_group"})
    if (theirs.contains(key) && !theirs.at(key).is_null()) ours["moe"][key] = theirs.at(key);
}

void write_v2(const ModelConfig& c, Json& theirs) {
  write_rope(c, theirs);
  theirs["num_key_value_heads"] = c.num_attention_heads;
  theirs["topk_method"] = c.moe.n_group > 1 ? "group_limited_greedy" : "greedy";
  theirs["n_group"] = c.moe.n_group;
  theirs["topk_group"] = c.moe.topk_group;
  theirs["norm_topk_prob"] = c.moe.norm_topk_prob;  // which is not looked at
}

void read_v3(const Json& theirs, Json& ours) {
  read_rope(theirs, ours);
  if (theirs.contains("norm_topk_prob") && theirs.at("norm_topk_prob").is_null())
    ours["moe"]["norm_topk_prob"] = false;
  ours["position"]["rope_layout"] = theirs.value("rope_interleave", true) ? "interleaved" : "half";
}

void write_v3(const ModelConfig& c, Json& theirs) {
  write_rope(c, theirs);
  theirs["num_key_value_heads"] = c.num_attention_heads;
  theirs["rope_interleave"] = c.position.get<RopeConfig>().rope_layout == "interleaved";
}

}  // namespace

const Family& deepseek_v2_family() {
  static const Family family = {
      .name = "deepseek_v2",
      .architecture = "DeepseekV2ForCausalLM",
      .summary = "latent attention, shared and fine-grained experts, softmax router with groups",
      .source = "DeepSeek-AI 2024, arXiv:2405.04434",
      .defaults = v2_defaults,
      .keys = {basic_keys(), kKeys, kV2Keys},
      .fixed = kV2Fixed,
      .other_keys = kV2OtherKeys,
      .hook_keys = {rope_keys(), kV2HookKeys},
      .weights = {decoder_ends(), pre_norms(), kWeights, split_gated_mlp(), split_experts()},
      .read = read_v2,
      .write = write_v2,
  };
  return family;
}

const Family& deepseek_v3_family() {
  static const Family family = {
      .name = "deepseek_v3",
      .architecture = "DeepseekV3ForCausalLM",
      .summary = "latent attention, shared and fine-grained experts, sigmoid router with biases",
      .source = "DeepSeek-AI 2024, arXiv:2412.19437",
      .defaults = v3_defaults,
      .keys = {basic_keys(), kKeys, kV3Keys},
      .fixed = kV3Fixed,
      .other_keys = kV3OtherKeys,
      .hook_keys = {rope_keys(), kV3HookKeys},
      .weights = {decoder_ends(), pre_norms(), kWeights, kV3Weights, split_gated_mlp(),
                  split_experts()},
      .read = read_v3,
      .write = write_v3,
      .ignored = kV3Ignored,
  };
  return family;
}

}  // namespace lathe
