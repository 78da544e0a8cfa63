// What families share: spellings of values, tables of keys and weights, rotary positions.
#pragma once

#include "lathe/model/family.h"

namespace lathe {

extern const Spelling kActivationSpelling;   // "gelu_pytorch_tanh" for "gelu_tanh"
extern const Spelling kGeluNewSpelling;      // the same, but "gelu_new", as older families write it
extern const Spelling kInverseSqrtSpelling;  // x for 1/sqrt(x): query_pre_attn_scalar
extern const Spelling kZeroIsNullSpelling;   // null for 0
extern const Spelling kPreNormSpelling;      // true for norm placement "pre", false for "post"
extern const Spelling kParallelSpelling;     // true for parallel_block "two_norms"

// Keys that config.json and ModelConfig spell alike, and that most families have.
std::span<const ConfigKey> standard_keys();
// Of these the ones about sizes, which families that differ in the rest have as well.
std::span<const ConfigKey> basic_keys();

// Names of Llama, which most later families kept in part.
std::span<const WeightRule> decoder_ends();     // embedding, final norm, head
std::span<const WeightRule> split_attention();  // q_proj, k_proj, v_proj, o_proj, q_norm, k_norm
std::span<const WeightRule> split_gated_mlp();  // gate_proj, up_proj, down_proj
std::span<const WeightRule> pre_norms();        // input_layernorm, post_attention_layernorm

std::span<const WeightRule> gemma_norms();  // before and after every branch

std::span<const WeightRule> split_experts();  // mlp.gate, mlp.experts.{e}, as Qwen writes them
std::span<const ConfigKey> sparse_keys();     // of mixtures of experts, as Qwen writes them

// rope_theta, rope_parameters (transformers 5) or rope_scaling (before), partial_rotary_factor.
void read_rope(const nlohmann::ordered_json& theirs, nlohmann::ordered_json& ours);
void write_rope(const ModelConfig& config, nlohmann::ordered_json& theirs);

// The same with sliding windows as Qwen writes them: use_sliding_window, sliding_window,
// max_window_layers or layer_types.
void read_windows(const nlohmann::ordered_json& theirs, nlohmann::ordered_json& ours);
void write_windows(const ModelConfig& config, nlohmann::ordered_json& theirs);

}  // namespace lathe
