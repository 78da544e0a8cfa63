// What architectures of GGUF files share. Internal to model/gguf.
#pragma once

#include "lathe/model/gguf/architecture.h"

namespace lathe::gguf {

std::span<const GgufKey> size_keys();          // context, width, blocks, feed-forward, query heads
std::span<const GgufKey> kv_head_keys();       // key/value heads
std::span<const GgufKey> head_width_keys();    // width of a head
std::span<const GgufKey> rms_norm_keys();      // epsilon of an RMS norm
std::span<const GgufKey> layer_norm_keys();    // epsilon of a layer norm
std::span<const GgufKey> rope_base_keys();     // base of rotary frequencies
std::span<const GgufKey> vocabulary_keys();    // rows of the token table
std::span<const GgufKey> expert_keys();        // experts, and how many a token has
std::span<const GgufKey> expert_width_keys();  // feed-forward width of one

std::span<const WeightRule> ends();         // token table, final norm, head
std::span<const WeightRule> block_norms();  // before attention and before feed-forward
std::span<const WeightRule> attention();    // query, key, value, output; norms of q and k
std::span<const WeightRule>
paired_attention();  // the same, with the rows of heads as Llama has them
std::span<const WeightRule> fused_attention();  // query, key and value in one
std::span<const WeightRule> gated_ffn();        // gate, up, down
std::span<const WeightRule> fused_gated_ffn();  // gate and up in one, down
std::span<const WeightRule> plain_ffn();        // up, down
std::span<const WeightRule> experts();          // router, and gate, up and down of all experts
std::span<const WeightRule> expert_matrices();  // the same without the router
std::span<const WeightRule> shared_expert();    // gate, up, down

// Rotary scaling: keys `rope.scaling.*`, and divisors of frequencies as tables.
void read_rope_scaling(const GgufDescription& theirs, nlohmann::ordered_json& ours);
void write_rope_scaling(const ModelConfig& config, GgufDescription& theirs);

// The share of a head that rotates: key `rope.dimension_count`.
void read_rotary_width(const GgufDescription& theirs, nlohmann::ordered_json& ours);
void write_rotary_width(const ModelConfig& config, GgufDescription& theirs);

// The key as an integer, a number, a text; `otherwise` when it is absent. Throws kFormat for another
// type.
int64_t integer(const GgufDescription& theirs, const char* key, int64_t otherwise = 0);
double number(const GgufDescription& theirs, const char* key, double otherwise);
std::string text(const GgufDescription& theirs, const char* key, const char* otherwise);

}  // namespace lathe::gguf
