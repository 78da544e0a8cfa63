// MiniMind (github.com/jingyaogong/minimind): Llama with normalised queries and keys, dense or with
// experts in every layer. Its names are Qwen's, its keys of its own: use_moe switches the experts
// on, inference_rope_scaling a fixed YaRN.
//
// MiniMind-2 of 2025 has the same model_type. Its config.json is known by n_routed_experts, which
// is there without experts too; it has no norms of queries and keys, always one matrix for
// embedding and head, and perhaps an expert that all tokens share.

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "lathe/base/error.h"
#include "lathe/model/families/shared.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps"},
    {"rope_theta", "position.rope_theta"},
    {"dropout", "hidden_dropout"},
};

constexpr std::string_view kHookKeys[] = {
    "use_moe",
    "num_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "norm_topk_prob",
    "n_routed_experts",
    "n_shared_experts",
    "scoring_func",
    "inference_rope_scaling",
    "rope_scaling",  // what inference_rope_scaling stands for, written out
    "flash_attention"};

constexpr WeightRule kShared[] = {
    {"model.layers.{}.mlp.shared_experts.0.gate_proj", "layers.{}.ffn.shared.gate_up", 0},
    {"model.layers.{}.mlp.shared_experts.0.up_proj", "layers.{}.ffn.shared.gate_up", 1},
    {"model.layers.{}.mlp.shared_experts.0.down_proj", "layers.{}.ffn.shared.down"},
};

ModelConfig defaults() {
  ModelConfig c;
  c.max_position_embeddings = 32768;
  c.tie_word_embeddings = true;
  c.bos_token_id = 1;
  c.eos_token_id = 2;
  c.norm.eps = 1e-6;
  c.position.get<RopeConfig>().rope_theta = 1e6;
  c.attention.qk_norm = "head";
  return c;
}

// What inference_rope_scaling = true stands for.
const Json& fixed_yarn() {
  static const Json kYarn = {
      {"kind", "yarn"},    {"factor", 16.0},   {"original_max_position_embeddings", 2048},
      {"beta_fast", 32.0}, {"beta_slow", 1.0}, {"attention_factor", 1.0}};
  return kYarn;
}

// ceil(pi · C / 64) · 64
int64_t default_width(int64_t hidden_size) {
  return static_cast<int64_t>(std::ceil(static_cast<double>(hidden_size) * std::numbers::pi / 64)) *
         64;
}

// config.json of MiniMind-2, under the names that later ones have.
Json renewed(const Json& old) {
  Json json = old;
  for (const auto& [before, now] :
       {std::pair{"n_routed_experts", "num_experts"}, {"aux_loss_alpha", "router_aux_loss_coef"}})
    if (old.contains(before)) json[now] = old.at(before);
  const int64_t choices = old.value("num_experts_per_tok", int64_t{2});
  json["num_experts_per_tok"] = choices;
  if (choices == 1) json["norm_topk_prob"] = false;  // a single expert keeps its probability
  return json;
}

void read_second(const Json& theirs, Json& ours) {
  const Json scoring = theirs.value("scoring_func", Json("softmax"));
  require(scoring == "softmax", ErrorKind::kConfig, "config.json",
          "scoring_func is {}; for minimind models only \"softmax\" is supported", scoring.dump());
  const auto shared = theirs.value("n_shared_experts", int64_t{1});
  require(shared <= 1, ErrorKind::kConfig, "config.json",
          "n_shared_experts is {}; for minimind models at most 1 is supported, whose matrices are "
          "not stacked",
          shared);
  if (!theirs.contains("rms_norm_eps")) ours["norm"]["eps"] = 1e-5;
  ours["tie_word_embeddings"] = true;
  ours["head_dim"] = nullptr;
  ours["attention"]["qk_norm"] = "none";
  if (!theirs.value("use_moe", false)) return;
  ours["moe"]["n_shared_experts"] = shared;
  ours["moe"]["balance_per_sequence"] = theirs.value("seq_aux", true);
}

void read_experts(const Json& theirs, Json& ours) {
  if (!theirs.value("use_moe", false)) return;
  Json& moe = ours["moe"];
  moe = {{"num_experts", 4}, {"num_experts_per_tok", 1}, {"router_aux_loss_coef", 5e-4}};
  for (const char* key : {"num_experts", "num_experts_per_tok", "moe_intermediate_size",
                          "norm_topk_prob", "router_aux_loss_coef"})
    if (const auto found = theirs.find(key); found != theirs.end() && !found->is_null())
      moe[key] = *found;
}

void read(const Json& theirs, Json& ours) {
  const bool second = theirs.contains("n_routed_experts");
  if (!theirs.contains("num_key_value_heads")) ours["num_key_value_heads"] = second ? 2 : 4;
  if (!second && !theirs.contains("intermediate_size"))
    ours["intermediate_size"] = default_width(theirs.value("hidden_size", int64_t{768}));
  if (theirs.contains("dropout") && !theirs.contains("attention_dropout"))
    ours["attention_dropout"] = theirs.at("dropout");
  if (theirs.value("inference_rope_scaling", false)) ours["position"]["scaling"] = fixed_yarn();
  read_experts(second ? renewed(theirs) : theirs, ours);
  if (second) read_second(theirs, ours);
}

void write_second(const ModelConfig& c, Json& theirs) {
  theirs["n_routed_experts"] = c.moe.num_experts;
  // More than the one that can be read is not claimed: it comes back as another model.
  theirs["n_shared_experts"] = std::min<int64_t>(c.moe.n_shared_experts, 1);
  theirs["num_experts_per_tok"] = c.moe.num_experts_per_tok;
  theirs["scoring_func"] = "softmax";
  theirs["norm_topk_prob"] = c.moe.norm_topk_prob;
  theirs["aux_loss_alpha"] = c.moe.balance_coefficient();
  theirs["seq_aux"] = c.moe.balance_per_sequence;
}

void write(const ModelConfig& config, Json& theirs) {
  const ModelConfig c = resolved(config);
  theirs["inference_rope_scaling"] = c.position.get<RopeConfig>().scaling.kind == "yarn";
  theirs["use_moe"] = c.moe.enabled();
  if (c.attention.qk_norm == "none") return write_second(c, theirs);
  if (!c.moe.enabled()) return;
  theirs["num_experts"] = c.moe.num_experts;
  theirs["num_experts_per_tok"] = c.moe.num_experts_per_tok;
  theirs["moe_intermediate_size"] = *c.moe.moe_intermediate_size;
  theirs["norm_topk_prob"] = c.moe.norm_topk_prob;
  theirs["router_aux_loss_coef"] = c.moe.balance_coefficient();
}

}  // namespace

const Family& minimind_family() {
  static const Family family = {
      .name = "minimind",
      .architecture = "MiniMindForCausalLM",
      .summary =
          "RMSNorm, rotary positions, GQA, normalised queries and keys, SwiGLU, dense or with "
          "experts",
      .source = "github.com/jingyaogong/minimind",
      .defaults = defaults,
      .keys = {standard_keys(), kKeys},
      .hook_keys = {kHookKeys},
      .weights = {decoder_ends(), pre_norms(), split_attention(), split_gated_mlp(),
                  split_experts(), kShared},
      .read = read,
      .write = write,
  };
  return family;
}

}  // namespace lathe
