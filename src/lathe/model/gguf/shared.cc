#include "lathe/model/gguf/shared.h"

#include "lathe/base/error.h"
#include "lathe/nn/position/rope.h"

namespace lathe::gguf {

std::span<const GgufKey> size_keys() {
  static constexpr GgufKey kKeys[] = {
      {"context_length", "max_position_embeddings"},
      {"embedding_length", "hidden_size"},
      {"block_count", "num_hidden_layers"},
      {"feed_forward_length", "intermediate_size"},
      {"attention.head_count", "num_attention_heads"},
  };
  return kKeys;
}

std::span<const GgufKey> kv_head_keys() {
  static constexpr GgufKey kKeys[] = {{"attention.head_count_kv", "num_key_value_heads"}};
  return kKeys;
}

std::span<const GgufKey> head_width_keys() {
  static constexpr GgufKey kKeys[] = {{"attention.key_length", "head_dim"},
                                      {"attention.value_length", "head_dim"}};
  return kKeys;
}

std::span<const GgufKey> rms_norm_keys() {
  static constexpr GgufKey kKeys[] = {{"attention.layer_norm_rms_epsilon", "norm.eps"}};
  return kKeys;
}

std::span<const GgufKey> layer_norm_keys() {
  static constexpr GgufKey kKeys[] = {{"attention.layer_norm_epsilon", "norm.eps"}};
  return kKeys;
}

std::span<const GgufKey> rope_base_keys() {
  static constexpr GgufKey kKeys[] = {{"rope.freq_base", "position.rope_theta"}};
  return kKeys;
}

std::span<const GgufKey> vocabulary_keys() {
  static constexpr GgufKey kKeys[] = {{"vocab_size", "vocab_size"}};
  return kKeys;
}

std::span<const GgufKey> expert_keys() {
  static constexpr GgufKey kKeys[] = {{"expert_count", "moe.num_experts"},
                                      {"expert_used_count", "moe.num_experts_per_tok"}};
  return kKeys;
}

std::span<const GgufKey> expert_width_keys() {
  static constexpr GgufKey kKeys[] = {{"expert_feed_forward_length", "moe.moe_intermediate_size"}};
  return kKeys;
}

std::span<const WeightRule> ends() {
  static constexpr WeightRule kWeights[] = {
      {"token_embd", "embedding"},
      {"output_norm", "final_norm"},
      {"output", "head"},
  };
  return kWeights;
}

std::span<const WeightRule> block_norms() {
  static constexpr WeightRule kWeights[] = {
      {"blk.{}.attn_norm", "layers.{}.attention_norm"},
      {"blk.{}.ffn_norm", "layers.{}.ffn_norm"},
  };
  return kWeights;
}

std::span<const WeightRule> attention() {
  static constexpr WeightRule kWeights[] = {
      {"blk.{}.attn_q", "layers.{}.attention.qkv", 0},
      {"blk.{}.attn_k", "layers.{}.attention.qkv", 1},
      {"blk.{}.attn_v", "layers.{}.attention.qkv", 2},
      {"blk.{}.attn_output", "layers.{}.attention.output"},
      {"blk.{}.attn_q_norm", "layers.{}.attention.query_norm"},
      {"blk.{}.attn_k_norm", "layers.{}.attention.key_norm"},
  };
  return kWeights;
}

std::span<const WeightRule> paired_attention() {
  static constexpr auto kPaired = DiskLayout::kPairedRows;
  static constexpr WeightRule kWeights[] = {
      {"blk.{}.attn_q", "layers.{}.attention.qkv", 0, kPaired},
      {"blk.{}.attn_k", "layers.{}.attention.qkv", 1, kPaired},
      {"blk.{}.attn_v", "layers.{}.attention.qkv", 2},
      {"blk.{}.attn_output", "layers.{}.attention.output"},
  };
  return kWeights;
}

std::span<const WeightRule> fused_attention() {
  static constexpr WeightRule kWeights[] = {
      {"blk.{}.attn_qkv", "layers.{}.attention.qkv"},
      {"blk.{}.attn_output", "layers.{}.attention.output"},
  };
  return kWeights;
}

std::span<const WeightRule> gated_ffn() {
  static constexpr WeightRule kWeights[] = {
      {"blk.{}.ffn_gate", "layers.{}.ffn.gate_up", 0},
      {"blk.{}.ffn_up", "layers.{}.ffn.gate_up", 1},
      {"blk.{}.ffn_down", "layers.{}.ffn.down"},
  };
  return kWeights;
}

std::span<const WeightRule> fused_gated_ffn() {
  static constexpr WeightRule kWeights[] = {
      {"blk.{}.ffn_up", "layers.{}.ffn.gate_up"},
      {"blk.{}.ffn_down", "layers.{}.ffn.down"},
  };
  return kWeights;
}

std::span<const WeightRule> plain_ffn() {
  static constexpr WeightRule kWeights[] = {
      {"blk.{}.ffn_up", "layers.{}.ffn.up"},
      {"blk.{}.ffn_down", "layers.{}.ffn.down"},
  };
  return kWeights;
}

std::span<const WeightRule> experts() {
  static constexpr WeightRule kWeights[] = {
      {"blk.{}.ffn_gate_inp", "layers.{}.ffn.router"},
      {"blk.{}.ffn_gate_exps", "layers.{}.ffn.experts.gate_up", 0, DiskLayout::kPlain, 2},
      {"blk.{}.ffn_up_exps", "layers.{}.ffn.experts.gate_up", 1, DiskLayout::kPlain, 2},
      {"blk.{}.ffn_down_exps", "layers.{}.ffn.experts.down", 0, DiskLayout::kPlain, 1},
  };
  return kWeights;
}

std::span<const WeightRule> expert_matrices() { return experts().subspan(1); }

std::span<const WeightRule> shared_expert() {
  static constexpr WeightRule kWeights[] = {
      {"blk.{}.ffn_gate_shexp", "layers.{}.ffn.shared.gate_up", 0},
      {"blk.{}.ffn_up_shexp", "layers.{}.ffn.shared.gate_up", 1},
      {"blk.{}.ffn_down_shexp", "layers.{}.ffn.shared.down"},
  };
  return kWeights;
}

namespace {

// nullptr when the key is absent.
const nlohmann::ordered_json* find(const GgufDescription& theirs, const char* key,
                                   bool (*is_right)(const nlohmann::ordered_json&),
                                   std::string_view expected) {
  const auto found = theirs.keys.find(key);
  if (found == theirs.keys.end()) return nullptr;
  require(is_right(*found), ErrorKind::kFormat, "gguf", "key '{}' is {}, expected {}", key,
          found->dump(), expected);
  return &*found;
}

}  // namespace

int64_t integer(const GgufDescription& theirs, const char* key, int64_t otherwise) {
  const auto* found = find(
      theirs, key, [](const auto& v) { return v.is_number_integer(); }, "an integer");
  return found != nullptr ? found->get<int64_t>() : otherwise;
}

double number(const GgufDescription& theirs, const char* key, double otherwise) {
  const auto* found = find(
      theirs, key, [](const auto& v) { return v.is_number(); }, "a number");
  return found != nullptr ? found->get<double>() : otherwise;
}

std::string text(const GgufDescription& theirs, const char* key, const char* otherwise) {
  const auto* found = find(
      theirs, key, [](const auto& v) { return v.is_string(); }, "a text");
  return found != nullptr ? found->get<std::string>() : otherwise;
}

namespace {

// Channels of a head in queries and keys, as far as the keys read so far say.
int64_t head_width(const GgufDescription& theirs) {
  const int64_t heads = integer(theirs, "attention.head_count", 1);
  return integer(theirs, "attention.key_length",
                 heads > 0 ? integer(theirs, "embedding_length") / heads : 0);
}

}  // namespace

void read_rotary_width(const GgufDescription& theirs, nlohmann::ordered_json& ours) {
  const int64_t width = head_width(theirs),
                rotating = integer(theirs, "rope.dimension_count", width);
  require(rotating > 0 && rotating <= width, ErrorKind::kFormat, "gguf",
          "key 'rope.dimension_count' is {}, expected 1 to the width of a head, {}", rotating,
          width);
  ours["position"]["partial_rotary_factor"] =
      static_cast<double>(rotating) / static_cast<double>(width);
}

void write_rotary_width(const ModelConfig& config, GgufDescription& theirs) {
  theirs.keys["rope.dimension_count"] =
      config.position.get<RopeConfig>().rotary_width(config.head_width());
}

}  // namespace lathe::gguf
