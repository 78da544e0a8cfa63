// The section [model.moe] of a recipe: a mixture of experts in place of the dense feed-forward
// layer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lathe/config/component.h"

namespace lathe {

// Keys have the names of config.json if one exists; if families differ (num_local_experts,
// n_routed_experts), that of Qwen. The families of transformers 5.23 correspond to these keys as
// follows (tests/model/moe_golden_test.cc):
//
//   Mixtral      softmax_topk; moe_intermediate_size is its intermediate_size; jitter_experts
//   Qwen2-MoE    softmax_topk; shared_expert_intermediate_size, shared_expert_gate
//   Qwen3-MoE    softmax_topk
//   DeepSeek-V2  softmax_topk; n_shared_experts; norm_topk_prob = false, whatever its config.json
//                says; n_group and topk_group only with topk_method = "group_limited_greedy"
//   DeepSeek-V3  sigmoid; n_shared_experts, n_group, topk_group
//   Switch       switch, expert = "mlp"; expert_capacity
struct MoeConfig {
  int64_t num_experts = 0;  // 0: the model is dense
  std::string router = "softmax_topk";
  int64_t num_experts_per_tok = 2;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1.0;
  int64_t n_group = 1, topk_group = 1;
  bool router_bias = false;
  double router_jitter_noise = 0.0;
  bool jitter_experts = false;

  double capacity_factor = 0.0;
  double eval_capacity_factor = 0.0;
  std::optional<int64_t> expert_capacity;
  bool allow_non_causal = false;

  std::string expert = "gated";
  std::optional<int64_t> moe_intermediate_size;  // default: the dense layer's width
  int64_t n_shared_experts = 0;
  std::optional<int64_t> shared_expert_intermediate_size;
  bool shared_expert_gate = false;

  std::optional<double> router_aux_loss_coef;  // default: balance_coefficient()
  double router_z_loss_coef = 0.0;
  bool balance_per_sequence = false;

  int64_t first_k_dense_replace = 0;
  int64_t decoder_sparse_step = 1;
  std::vector<int64_t> mlp_only_layers;

  ComponentConfigs router_keys;  // the keys of each router

  MoeConfig();
  void visit(Visitor& v);

  bool enabled() const { return num_experts > 0; }
  // Whether layer `layer`, from 0, has experts; the others have the dense feed-forward layer.
  bool in_layer(int64_t layer) const;
  // The number of choices per token: k, or what the router fixes (switch 1, gshard 2).
  int64_t choices() const;
  double balance_coefficient() const;  // router_aux_loss_coef, or the router's default
  // Width of the shared expert, 0 for none.
  int64_t shared_width(int64_t expert_width) const;
};

// If experts are enabled, throws kConfig for a configuration that cannot work, naming
// model.moe.<key>, why, and what to write instead.
void validate(const MoeConfig& config);

// With a capacity and more than one choice per token, first choices are counted before second ones,
// so that a token may lose its second expert to a later token's first; this is true of all training
// with capacities.
//
// False for a router that makes a token's output depend on later tokens (expert_choice). A causal
// model refuses such a router unless `allow_non_causal` is on.
bool is_causal(const MoeConfig& config);

}  // namespace lathe
