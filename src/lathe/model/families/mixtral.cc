// Mixtral 8x7B: Mistral with a mixture of experts in every layer.

#include <nlohmann/json.hpp>

#include "lathe/model/families/shared.h"
#include "lathe/nn/position/rope.h"

namespace lathe {
namespace {

constexpr ConfigKey kKeys[] = {
    {"rms_norm_eps", "norm.eps"},
    {"sliding_window", "sliding_window"},
    {"num_local_experts", "moe.num_experts", nullptr, "8"},
    {"num_experts_per_tok", "moe.num_experts_per_tok"},
    {"router_aux_loss_coef", "moe.router_aux_loss_coef", nullptr, "0.001"},
    {"router_jitter_noise", "moe.router_jitter_noise"},
    {"num_key_value_heads", "num_key_value_heads", nullptr, "8"},
};

constexpr ConfigKey kOtherKeys[] = {{"num_experts", "moe.num_experts"}};

constexpr WeightRule kExperts[] = {
    {"model.layers.{}.block_sparse_moe.gate", "layers.{}.ffn.router"},
    {"model.layers.{}.block_sparse_moe.experts.{e}.w1", "layers.{}.ffn.experts.gate_up", 0,
     DiskLayout::kPlain, 2},
    {"model.layers.{}.block_sparse_moe.experts.{e}.w3", "layers.{}.ffn.experts.gate_up", 1,
     DiskLayout::kPlain, 2},
    {"model.layers.{}.block_sparse_moe.experts.{e}.w2", "layers.{}.ffn.experts.down", 0,
     DiskLayout::kPlain, 1},
};

ModelConfig defaults() {
  ModelConfig c;
  c.position.get<RopeConfig>().rope_theta = 1e6;
  c.moe.num_experts = 8;
  c.moe.jitter_experts = true;
  return c;
}

}  // namespace

const Family& mixtral_family() {
  static const Family family = {
      .name = "mixtral",
      .architecture = "MixtralForCausalLM",
      .summary = "RMSNorm, rotary positions, GQA, top-2 mixture of SwiGLU experts",
      .source = "Jiang et al. 2024, arXiv:2401.04088",
      .defaults = defaults,
      .keys = {standard_keys(), kKeys},
      .other_keys = kOtherKeys,
      .hook_keys = {rope_keys()},
      .weights = {decoder_ends(), pre_norms(), split_attention(), kExperts},
      .read = read_rope,
      .write = write_rope,
  };
  return family;
}

}  // namespace lathe
