#include "lathe/model/model_config.h"

#include <algorithm>
#include <cmath>

#include "lathe/model/components.h"
#include "lathe/model/layer_masks.h"

namespace lathe {

double ModelConfig::head_scale() const {
  const bool divided = scale_tied_head && tie_word_embeddings;
  return divided ? logit_scale / std::sqrt(static_cast<double>(hidden_size)) : logit_scale;
}

const Body& ModelConfig::body_traits() const { return find_in(bodies(), "model.body", body).make; }

const std::string& ModelConfig::layer_type(int64_t layer) const {
  static const std::string kFull = "full_attention", kSliding = "sliding_attention";
  if (layer_types.empty()) return sliding_window ? kSliding : kFull;
  return layer_types[static_cast<size_t>(layer) % layer_types.size()];
}

bool ModelConfig::has_layer(std::string_view type) const {
  for (int64_t layer = 0; layer < num_hidden_layers; ++layer)
    if (layer_type(layer) == type) return true;
  return false;
}

int64_t ModelConfig::ffn_width() const {
  if (intermediate_size) return *intermediate_size;
  return ffn_traits(*this).default_width;
}

namespace {

double default_scale(const ModelConfig& c) {
  const AttentionTraits attention = attention_of(c).traits();
  const double scale =
      1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(1, attention.key_width)));
  if (!attention.rotary_apart) return scale;
  // DeepSeek sharpens its scores for the stretched length.
  const double temperature = position_of(c, main_stack(c)).traits().temperature;
  return scale * temperature * temperature;
}

}  // namespace

ModelConfig resolved(const ModelConfig& config) {
  ModelConfig c = config;
  c.num_key_value_heads = config.kv_heads();
  c.head_dim = config.head_width();
  c.intermediate_size = config.ffn_width();
  c.attention.output_bias = config.attention.output_bias.value_or(config.attention_bias);
  c.attention.scale = config.attention.scale.value_or(default_scale(config));
  c.attention.norm_eps = config.attention.norm_eps.value_or(config.norm.eps);
  const auto position = position_of(c, main_stack(c));
  position.entry.resolve(position.shape, c.position.own());
  c.scale_tied_head = config.scale_tied_head && config.tie_word_embeddings;
  if (c.body_traits().encoder) c.num_encoder_layers = config.encoder_layers();
  c.layer_types.clear();
  const int64_t layers =
      std::max(c.num_hidden_layers + c.num_nextn_predict_layers, c.encoder_layers());
  for (int64_t layer = 0; layer < layers; ++layer)
    c.layer_types.push_back(config.layer_type(layer));
  resolve_masks(c);
  c.ffn.components.reset_others(feed_forwards(), c.ffn.kind);
  const auto ffn = ffn_of(c, main_stack(c));
  ffn.entry.resolve(ffn.shape, c.ffn.own());
  if (!c.moe.enabled()) c.moe = {};
  if (c.moe.enabled()) {
    c.moe.moe_intermediate_size = config.moe.moe_intermediate_size.value_or(config.ffn_width());
    c.moe.router_aux_loss_coef = config.moe.balance_coefficient();
  }
  return c;
}

std::vector<int64_t> ModelConfig::eos_token_ids() const {
  std::vector<int64_t> ids = other_eos_token_ids;
  if (eos_token_id) ids.insert(ids.begin(), *eos_token_id);
  return ids;
}

}  // namespace lathe
