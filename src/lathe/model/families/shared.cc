// What most config.json files have in common: the keys of Llama and its successors.

#include "lathe/model/families/shared.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "lathe/base/error.h"
#include "lathe/config/read_write.h"

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
  fail(ErrorKind::kConfig, "config.json", "activation {} is not supported", theirs.dump());
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

}  // namespace lathe
