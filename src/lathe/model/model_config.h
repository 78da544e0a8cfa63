// Every architectural choice, as data. The keys are those of Hugging Face's config.json where one
// exists.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lathe/config/visit.h"
#include "lathe/model/body.h"
#include "lathe/nn/attention/attention_config.h"
#include "lathe/nn/ffn/ffn_config.h"
#include "lathe/nn/moe/moe_config.h"
#include "lathe/nn/norm/norm_config.h"
#include "lathe/nn/position/position_config.h"

namespace lathe {

struct ModelConfig {
  std::string model_type = "llama";
  std::string body = "decoder";
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  std::optional<int64_t> num_encoder_layers;  // default: num_hidden_layers
  int64_t num_attention_heads = 0;
  std::optional<int64_t> num_key_value_heads;  // default: num_attention_heads
  std::optional<int64_t> head_dim;             // default: hidden_size / num_attention_heads
  std::optional<int64_t>
      intermediate_size;  // default: 4·hidden_size (mlp), 8/3 of it (gated), to 64
  int64_t max_position_embeddings = 2048;
  std::string hidden_act = "silu";
  bool lm_head = true;
  bool tie_word_embeddings = false;
  bool attention_bias = false;
  bool mlp_bias = false;
  bool lm_head_bias = false;
  bool head_transform = false;
  int64_t type_vocab_size = 0;
  int64_t num_labels = 0;
  bool pooler = false;
  int64_t num_nextn_predict_layers = 0;
  std::string parallel_block = "none";
  std::vector<std::string> layer_types = {};  // repeated over the layers; empty: see layer_type()
  std::optional<int64_t> sliding_window;
  double attn_logit_softcapping = 0.0;
  double final_logit_softcapping = 0.0;
  bool scale_embedding = false;
  double logit_scale = 1.0;
  bool scale_tied_head = false;
  double attention_dropout = 0.0;
  double hidden_dropout = 0.0;
  double initializer_range = 0.02;
  bool scale_residual_init = true;
  std::optional<int64_t> bos_token_id, eos_token_id, pad_token_id, decoder_start_token_id;
  std::vector<int64_t> other_eos_token_ids = {};  // in addition to eos_token_id
  NormConfig norm;
  PositionConfig position;
  AttentionConfig attention;
  FeedForwardConfig ffn;
  MoeConfig moe;

  void visit(Visitor& v);  // all keys but model_type, which the families know

  int64_t kv_heads() const { return num_key_value_heads.value_or(num_attention_heads); }
  int64_t head_width() const {
    return head_dim.value_or(num_attention_heads > 0 ? hidden_size / num_attention_heads : 0);
  }
  const Body& body_traits() const;
  // The total factor on the output logits.
  double head_scale() const;
  // The token that an encoder_decoder's decoder starts with.
  std::optional<int64_t> decoder_start() const {
    return decoder_start_token_id ? decoder_start_token_id : pad_token_id;
  }
  int64_t encoder_layers() const { return num_encoder_layers.value_or(num_hidden_layers); }
  int64_t ffn_width() const;
  std::vector<int64_t> eos_token_ids() const;   // all that end a text
  bool has_layer(std::string_view type) const;  // whether any layer is of that type
  // One of attention_layer_types(). Without layer_types: sliding if there is a window.
  const std::string& layer_type(int64_t layer) const;
};

// The keys of a model that only matter in training.
void visit_dropout(Visitor& v, double& attention_dropout, double& hidden_dropout);

// Special token ids, under their names in config.json.
struct SpecialId {
  const char* key;
  std::optional<int64_t> ModelConfig::*id;
};
inline constexpr SpecialId kSpecialIds[] = {
    {"bos_token_id", &ModelConfig::bos_token_id},
    {"eos_token_id", &ModelConfig::eos_token_id},
    {"pad_token_id", &ModelConfig::pad_token_id},
    {"decoder_start_token_id", &ModelConfig::decoder_start_token_id},
};
// What layer_types may hold: "full_attention", "sliding_attention", and the patterns of Sparse
// Transformers (Child et al. 2019, arXiv:1904.10509) "strided_attention" and "fixed_attention".
std::vector<std::string> attention_layer_types();

// Fills in every default that depends on another key.
ModelConfig resolved(const ModelConfig& config);

// Throws kConfig for a configuration that cannot work, saying what, why, and what to write instead.
void validate(const ModelConfig& config);

}  // namespace lathe
