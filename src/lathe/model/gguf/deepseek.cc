// "deepseek2": DeepSeek-V2 and DeepSeek-V3. llama.cpp attends in the absorbed form, so `key_length`
// and `value_length` are widths of its cache, which has one head; those of the model's heads are
// `key_length_mla` and `value_length_mla`. The matrix that makes keys and values of all heads is two
// tensors, `attn_k_b` with the matrix of every head transposed, and `attn_v_b`. Files of older
// converters have it as it is, `attn_kv_b`, and in `key_length` and `value_length` the model's widths.
//
// What no key says: the norms of the narrow vectors have the epsilon of all others, and the factor on
// rotary angles has the weight that the factor on scores has (`mscale` is `mscale_all_dim`). Routers
// whose function no key names are V3's where they have biases. Groups of V2's experts are scored by
// their best expert, as transformers does it; llama.cpp takes the two best there, too.

#include <algorithm>
#include <array>
#include <cmath>

#include "lathe/base/error.h"
#include "lathe/model/gguf/shared.h"
#include "lathe/nn/attention/latent.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;
using namespace gguf;

constexpr GgufKey kLatent[] = {
    {"attention.kv_lora_rank", "attention.kv_lora_rank"},
    {"attention.q_lora_rank", "attention.q_lora_rank"},
    {"rope.dimension_count", "attention.qk_rope_head_dim"},
};

// The keys of experts, and what is meant when one is absent.
struct ExpertKey {
  GgufKey key;
  const char* absent;  // JSON literal
};
constexpr ExpertKey kExpertKeys[] = {
    {{"leading_dense_block_count", "moe.first_k_dense_replace"}, "0"},
    {{"expert_shared_count", "moe.n_shared_experts"}, "0"},
    {{"expert_weights_norm", "moe.norm_topk_prob"}, "false"},
    {{"expert_weights_scale", "moe.routed_scaling_factor"}, "1.0"},
    {{"expert_group_count", "moe.n_group"}, "1"},
    {{"expert_group_used_count", "moe.topk_group"}, "1"},
};
constexpr auto kExperts = [] {
  std::array<GgufKey, std::size(kExpertKeys)> keys;
  std::ranges::transform(kExpertKeys, keys.begin(), &ExpertKey::key);
  return keys;
}();

constexpr WeightRule kWeights[] = {
    {"blk.{}.attn_q", "layers.{}.attention.query"},
    {"blk.{}.attn_q_a", "layers.{}.attention.query_down"},
    {"blk.{}.attn_q_a_norm", "layers.{}.attention.query_norm"},
    {"blk.{}.attn_q_b", "layers.{}.attention.query_up"},
    {"blk.{}.attn_kv_a_mqa", "layers.{}.attention.key_value_down"},
    {"blk.{}.attn_kv_a_norm", "layers.{}.attention.key_value_norm"},
    {"blk.{}.attn_output", "layers.{}.attention.output"},
    {"blk.{}.ffn_gate_inp.weight", "layers.{}.ffn.router.weight"},
    {"blk.{}.exp_probs_b.bias", "layers.{}.ffn.router.e_score_correction_bias"},
    {"blk.{}.nextn.enorm", "further.{}.ahead_norm"},
    {"blk.{}.nextn.hnorm", "further.{}.hidden_norm"},
    {"blk.{}.nextn.eh_proj", kMtpJoin},
    {"blk.{}.nextn.shared_head_norm", "further.{}.norm"},
};

constexpr WeightRule kKeysAndValues[] = {
    {"blk.{}.attn_k_b.weight", "layers.{}.attention.key_value_up.weight", -1,
     DiskLayout::kKeysOfHeads},
    {"blk.{}.attn_v_b.weight", "layers.{}.attention.key_value_up.weight", -1,
     DiskLayout::kValuesOfHeads},
};
constexpr WeightRule kOldKeysAndValues[] = {
    {"blk.{}.attn_kv_b", "layers.{}.attention.key_value_up"}};

bool is_old(const GgufDescription& theirs) {
  return !theirs.keys.contains("attention.key_length_mla");
}

std::span<const WeightRule> keys_and_values(const GgufDescription* file) {
  if (file != nullptr && is_old(*file)) return kOldKeysAndValues;
  return kKeysAndValues;
}

// `expert_gating_func`: enum llama_expert_gating_func_type of llama.cpp; 0 is for none named.
constexpr int64_t kSoftmax = 1, kSigmoid = 2;

int64_t gating(const GgufDescription& theirs) {
  const int64_t named = integer(theirs, "expert_gating_func");
  if (named != 0) return named;
  for (const std::string& tensor : theirs.tensors)
    if (tensor.ends_with(".exp_probs_b.bias")) return kSigmoid;
  return kSoftmax;
}

bool is_v3(const GgufDescription& theirs) { return gating(theirs) == kSigmoid; }

// Without what storing a number as a float has added to it.
double rounded(double x) { return std::round(x * 1e7) / 1e7; }

constexpr const char* kYarnMultiplier = "rope.scaling.yarn_log_multiplier";
constexpr double kYarnUnit = 0.1;  // of YaRN's own formula, which that key contains

void read_temperature(const GgufDescription& theirs, Json& ours) {
  read_rope_scaling(theirs, ours);
  if (text(theirs, "rope.scaling.type", "none") != "yarn") return;
  const double weight = rounded(number(theirs, kYarnMultiplier, 0.0) / kYarnUnit);
  if (weight == 0.0) return;
  for (const char* key : {"mscale", "mscale_all_dim"}) ours["position"]["scaling"][key] = weight;
}

void read_attention(const GgufDescription& theirs, Json& ours) {
  const char *key = "attention.key_length_mla", *value = "attention.value_length_mla";
  if (is_old(theirs)) key = "attention.key_length", value = "attention.value_length";
  const int64_t width = integer(theirs, key), rotating = integer(theirs, "rope.dimension_count");
  require(rotating > 0 && rotating < width, ErrorKind::kFormat, "gguf",
          "key 'rope.dimension_count' is {}, expected 1 to less than '{}', {}", rotating, key,
          width);
  ours["attention"]["v_head_dim"] = integer(theirs, value);
  ours["attention"]["qk_nope_head_dim"] = width - rotating;
  ours["attention"]["norm_eps"] = ours["norm"]["eps"];
}

// Modules for further tokens are counted with the layers.
void read_layers(const GgufDescription& theirs, Json& ours) {
  const int64_t layers = integer(theirs, "block_count"),
                further = integer(theirs, "nextn_predict_layers");
  require(further >= 0 && further < layers, ErrorKind::kFormat, "gguf",
          "key 'nextn_predict_layers' is {}, expected 0 to less than 'block_count', {}", further,
          layers);
  ours["num_nextn_predict_layers"] = further;
  ours["num_hidden_layers"] = layers - further;
}

void read(const GgufDescription& theirs, Json& ours) {
  const int64_t gate = gating(theirs);
  require(gate == kSoftmax || gate == kSigmoid, ErrorKind::kConfig, "gguf",
          "key 'expert_gating_func' is {}, expected 1 (softmax) or 2 (sigmoid)", gate);
  for (const auto& [key, absent] : kExpertKeys)
    if (!theirs.keys.contains(key.theirs)) at_path(ours, key.ours) = Json::parse(absent);
  read_layers(theirs, ours);
  read_attention(theirs, ours);
  read_temperature(theirs, ours);
}

void write_temperature(const ModelConfig& config, GgufDescription& theirs) {
  write_rope_scaling(config, theirs);
  const RopeScalingConfig& s = config.position.get<RopeConfig>().scaling;
  if (const double weight = s.mscale_all_dim.value_or(0); weight != 0)
    theirs.keys[kYarnMultiplier] = kYarnUnit * weight;
}

void write(const ModelConfig& config, GgufDescription& theirs) {
  const auto& latent = config.attention.get<LatentConfig>();
  theirs.keys["block_count"] = config.num_hidden_layers + config.num_nextn_predict_layers;
  if (config.num_nextn_predict_layers > 0)
    theirs.keys["nextn_predict_layers"] = config.num_nextn_predict_layers;
  theirs.keys["attention.head_count_kv"] = 1;
  theirs.keys["attention.key_length"] = latent.kv_lora_rank + latent.qk_rope_head_dim;
  theirs.keys["attention.value_length"] = latent.kv_lora_rank;
  theirs.keys["attention.value_length_mla"] = latent.v_head_dim;
  theirs.keys["attention.key_length_mla"] = latent.qk_nope_head_dim + latent.qk_rope_head_dim;
  theirs.keys["expert_gating_func"] = config.moe.router == "sigmoid" ? kSigmoid : kSoftmax;
  write_temperature(config, theirs);
}

}  // namespace

const GgufArchitecture& gguf_deepseek2() {
  static const GgufArchitecture architecture = {
      .name = "deepseek2",
      .families = {{deepseek_v3_family, is_v3}, {deepseek_v2_family}},
      .keys = {size_keys(), rms_norm_keys(), rope_base_keys(), vocabulary_keys(), expert_keys(),
               expert_width_keys(), kLatent, kExperts},
      .weights = {ends(), block_norms(), kWeights, gated_ffn(), expert_matrices(), shared_expert()},
      .weights_in = keys_and_values,
      .read = read,
      .write = write,
  };
  return architecture;
}

}  // namespace lathe
