// What families share: spellings of values, tables of keys and weights, rotary positions.
#pragma once

#include <initializer_list>

#include "lathe/model/family.h"

namespace lathe {

extern const Spelling kActivationSpelling;   // "gelu_pytorch_tanh" for "gelu_tanh"
extern const Spelling kGeluNewSpelling;      // the same, but "gelu_new", as older families write it
extern const Spelling kInverseSqrtSpelling;  // x for 1/sqrt(x): query_pre_attn_scalar
extern const Spelling kZeroIsNullSpelling;   // null for 0
extern const Spelling kPreNormSpelling;      // true for norm placement "pre", false for "post"
extern const Spelling kParallelSpelling;     // true for parallel_block "two_norms"

// Keys that have the same name in config.json and ModelConfig, and that most families have.
std::span<const ConfigKey> standard_keys();
// The keys about sizes among them, which other families also have.
std::span<const ConfigKey> basic_keys();

// Llama's names, which most later families partly kept.
std::span<const WeightRule> decoder_ends();     // embedding, final norm, head
std::span<const WeightRule> split_attention();  // q_proj, k_proj, v_proj, o_proj, q_norm, k_norm
std::span<const WeightRule> split_gated_mlp();  // gate_proj, up_proj, down_proj
std::span<const WeightRule> pre_norms();        // input_layernorm, post_attention_layernorm

std::span<const WeightRule> gemma_norms();  // before and after every branch

std::span<const WeightRule> split_experts();  // mlp.gate, mlp.experts.{e}, as Qwen writes them
std::span<const ConfigKey> sparse_keys();     // of mixtures of experts, as Qwen writes them

// The keys that read_rope() and read_partial_rope() read.
std::span<const std::string_view> rope_keys();
bool is_known_rope_key(std::string_view key);  // within rope_parameters or rope_scaling

// rope_theta, and rope_scaling (before transformers 5) or rope_parameters, of which the first wins,
// as in transformers. Error kConfig for settings that differ from layer to layer, and for a
// partial_rotary_factor other than 1, which these families do not have.
void read_rope(const nlohmann::ordered_json& theirs, nlohmann::ordered_json& ours);
// The same for families that have it.
void read_partial_rope(const nlohmann::ordered_json& theirs, nlohmann::ordered_json& ours);
// Of the settings that have a default, it writes only those that differ from it. `theirs` has its
// model_type.
void write_rope(const ModelConfig& config, nlohmann::ordered_json& theirs);

// The value of the first of these keys that has one, or null.
nlohmann::ordered_json first_of(const nlohmann::ordered_json& json,
                                std::initializer_list<std::string_view> keys);

// Every period-th layer full, the others sliding: layer_types where config.json has none.
nlohmann::ordered_json alternating_layers(const nlohmann::ordered_json& layers, int64_t period);
// layer_types and sliding_window, for families where transformers requires a window even if no
// layer uses it.
void write_alternating(const ModelConfig& config, nlohmann::ordered_json& theirs);

// Sliding windows as Qwen writes them: use_sliding_window, sliding_window, and max_window_layers or
// layer_types; with read_rope().
std::span<const std::string_view> window_keys();  // with rope_keys()
void read_windows(const nlohmann::ordered_json& theirs, nlohmann::ordered_json& ours);
void write_windows(const ModelConfig& config, nlohmann::ordered_json& theirs);

}  // namespace lathe
