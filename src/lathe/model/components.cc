#include "lathe/model/components.h"

#include <cmath>

#include "lathe/nn/moe/moe.h"

namespace lathe {

namespace {

DeepNormConstants deep_norm_of_main(const ModelConfig& c) {
  if (placement_of(c).keeps_normed) return deep_norm_of_glm(c.num_hidden_layers);
  return c.body_traits().encoder ? deep_norm_of_decoder(c.num_hidden_layers)
                                 : deep_norm(c.num_hidden_layers);
}

DeepNormConstants deep_norm_beside_main(const ModelConfig& c) {
  if (placement_of(c).keeps_normed) return deep_norm_of_glm(c.encoder_layers());
  return deep_norm_of_encoder(c.encoder_layers(), c.num_hidden_layers);
}

}  // namespace

StackSpec main_stack(const ModelConfig& c) {
  const Body body = c.body_traits();
  return {.layers = c.num_hidden_layers,
          .causal = body.causal,
          .crosses = body.encoder,
          .deep = deep_norm_of_main(c)};
}

StackSpec encoder_stack(const ModelConfig& c) {
  return {.layers = c.encoder_layers(),
          .causal = false,
          .crosses = false,
          .deep = deep_norm_beside_main(c)};
}

std::unique_ptr<Norm> make_norm(const ModelConfig& c) {
  return find_in(norms(), "model.norm.kind", c.norm.kind)
      .make({c.hidden_size, c.norm.eps, c.norm.bias});
}

NormPlacement placement_of(const ModelConfig& c) {
  return find_in(norm_placements(), "model.norm.placement", c.norm.placement).make;
}

kernels::AttentionSpec mask_of(const ModelConfig& config, int64_t layer) {
  using Kind = kernels::BlockPattern::Kind;
  const ModelConfig c = resolved(config);
  const std::string& type = c.layer_type(layer);
  kernels::AttentionSpec mask;
  if (type == "full_attention") return mask;
  mask.sink_tokens = c.attention.sink_tokens;
  if (type == "sliding_attention") {
    mask.window = *c.sliding_window;
  } else {
    mask.pattern = {.kind = type == "strided_attention" ? Kind::kStrided : Kind::kFixed,
                    .block = c.attention.sparse_block,
                    .stride = *c.attention.sparse_stride,
                    .local = c.attention.sparse_local.value_or(1),
                    .summary = c.attention.sparse_summary};
  }
  return mask;
}

namespace {

// Standard deviations of fresh weights.
struct InitScales {
  double common, values, outputs;
};
InitScales init_scales(const ModelConfig& c, const StackSpec& stack) {
  const double std = c.initializer_range;
  if (placement_of(c).deep) return {std, std * stack.deep.beta, std * stack.deep.beta};
  if (!c.scale_residual_init) return {std, std, std};
  // Output projections add to the residual stream this many times (Radford et al. 2019).
  const int64_t branches = (stack.crosses ? 3 : 2) * stack.layers;
  return {std, std, std / std::sqrt(static_cast<double>(branches))};
}

QkNorm qk_norm_of(const ModelConfig& c) {
  if (c.attention.qk_norm == "none") return QkNorm::kNone;
  return c.attention.qk_norm == "head" ? QkNorm::kHead : QkNorm::kFull;
}

AttentionOptions attention_options(const ModelConfig& config, const StackSpec& stack,
                                   int64_t layer) {
  const ModelConfig c = resolved(config);
  const InitScales scales = init_scales(c, stack);
  const kernels::AttentionSpec mask = mask_of(c, layer);
  return {.hidden_size = c.hidden_size,
          .heads = c.num_attention_heads,
          .kv_heads = c.kv_heads(),
          .head_dim = c.head_width(),
          .bias = c.attention_bias,
          .output_bias = *c.attention.output_bias,
          .scale = *c.attention.scale,
          .softcap = c.attn_logit_softcapping,
          .causal = stack.causal,
          .window = mask.window,
          .sink_tokens = mask.sink_tokens,
          .pattern = mask.pattern,
          .sink_logits = c.attention.sink_logits,
          .dropout = c.attention_dropout,
          .qk_norm = qk_norm_of(c),
          .make_norm = find_in(norms(), "model.norm.kind", c.norm.kind).make,
          .norm_eps = *c.attention.norm_eps,
          .init_std = scales.common,
          .value_init_std = scales.values,
          .output_init_std = scales.outputs,
          .layer = layer,
          .latent = {.kv_rank = c.attention.kv_lora_rank,
                     .query_rank = c.attention.q_lora_rank.value_or(0),
                     .nope_width = c.attention.qk_nope_head_dim,
                     .rope_width = c.attention.qk_rope_head_dim,
                     .value_width = c.attention.v_head_dim}};
}

FeedForwardOptions ffn_options(const ModelConfig& c, const StackSpec& stack, int64_t layer) {
  const InitScales scales = init_scales(c, stack);
  // DeepNorm scales both matrices of the feed-forward layer.
  return {.hidden_size = c.hidden_size,
          .intermediate_size = c.ffn_width(),
          .activation = kernels::find_activation(c.hidden_act),
          .bias = c.mlp_bias,
          .init_std = placement_of(c).deep ? scales.outputs : scales.common,
          .output_init_std = scales.outputs,
          .layer = layer,
          .conv = {.width = c.ffn.conv_width,
                   .grid_height = c.ffn.conv == "grid" ? c.ffn.grid_height.value_or(0) : 0,
                   .grid_width = c.ffn.conv == "grid" ? c.ffn.grid_width.value_or(0) : 0}};
}

PositionOptions position_options(const ModelConfig& config, const StackSpec& stack) {
  const ModelConfig c = resolved(config);
  const PositionConfig& p = c.position;
  const RopeScalingConfig& s = p.scaling;
  return {.hidden_size = c.hidden_size,
          .rotary_width = c.rotary_width(),
          .max_positions = c.max_position_embeddings,
          .offset = p.offset,
          .init_std = c.initializer_range,
          .rope_theta = p.rope_theta,
          .rope_local_theta = p.rope_local_base_freq,
          .rope_layout = p.rope_layout == "half" ? kernels::RopeLayout::kHalfSplit
                                                 : kernels::RopeLayout::kInterleaved,
          .rope_blank = p.rope_places == "blank",
          .scaling = {.kind = s.kind,
                      .factor = c.rope_factor(),
                      .original_length =
                          s.original_max_position_embeddings.value_or(c.max_position_embeddings),
                      .length = c.max_position_embeddings,
                      .low_freq_factor = s.low_freq_factor,
                      .high_freq_factor = s.high_freq_factor,
                      .beta_fast = s.beta_fast,
                      .beta_slow = s.beta_slow,
                      .attention_factor = s.attention_factor,
                      .mscale = s.mscale,
                      .mscale_all_dim = s.mscale_all_dim,
                      .truncate = s.truncate,
                      .short_factor = s.short_factor,
                      .long_factor = s.long_factor},
          .heads = c.num_attention_heads,
          .layers = stack.layers + c.num_nextn_predict_layers,
          .key_width = c.key_width(),
          .value_width = c.value_width(),
          .buckets = {.buckets = p.relative_attention_num_buckets,
                      .max_distance = p.relative_attention_max_distance,
                      .bidirectional = !stack.causal},
          .shaw_distance = p.shaw_distance,
          .alibi_by_key = p.alibi == "falcon",
          // The tokens of a prefix see later ones.
          .causal = stack.causal && !c.body_traits().prefix};
}

}  // namespace

std::unique_ptr<Attention> make_attention(const ModelConfig& c, const StackSpec& stack,
                                          int64_t layer) {
  return find_in(attentions(), "model.attention.kind", c.attention.kind)
      .make(attention_options(c, stack, layer));
}

std::unique_ptr<Attention> make_cross_attention(const ModelConfig& c, const StackSpec& stack,
                                                int64_t layer) {
  return make_cross_attention(attention_options(c, stack, layer));
}

std::unique_ptr<FeedForward> make_ffn(const ModelConfig& c, const StackSpec& stack, int64_t layer) {
  const FeedForwardOptions options = ffn_options(c, stack, layer);
  if (c.moe.in_layer(layer)) return make_moe(options, c.moe);
  return find_in(feed_forwards(), "model.ffn.kind", c.ffn.kind).make(options);
}

std::unique_ptr<Position> make_position(const ModelConfig& c, const StackSpec& stack) {
  return find_in(positions(), "model.position.kind", c.position.kind)
      .make(position_options(c, stack));
}

}  // namespace lathe
