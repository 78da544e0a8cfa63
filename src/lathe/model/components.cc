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

const NormComponent& norm_entry(const ModelConfig& c) {
  return find_in(norms(), "model.norm.kind", c.norm.kind);
}

NormShape norm_shape(const ModelConfig& c) { return {c.hidden_size, c.norm.eps, c.norm.bias}; }

std::unique_ptr<Norm> make_norm(const ModelConfig& c) {
  return norm_entry(c).make(norm_shape(c), c.norm.own());
}

NormPlacement placement_of(const ModelConfig& c) {
  return find_in(norm_placements(), "model.norm.placement", c.norm.placement).make;
}

namespace {

// What a layer_type lets a token see, beside its own past.
struct LayerType {
  std::string_view name;
  bool window = false;
  kernels::BlockPattern::Kind pattern = kernels::BlockPattern::Kind::kNone;
};
constexpr LayerType kLayerTypes[] = {
    {"full_attention"},
    {.name = "sliding_attention", .window = true},
    {.name = "strided_attention", .pattern = kernels::BlockPattern::Kind::kStrided},
    {.name = "fixed_attention", .pattern = kernels::BlockPattern::Kind::kFixed},
};

}  // namespace

std::vector<std::string> attention_layer_types() { return names_of(kLayerTypes); }

kernels::AttentionSpec mask_of(const ModelConfig& config, int64_t layer) {
  using Kind = kernels::BlockPattern::Kind;
  const ModelConfig c = resolved(config);
  const LayerType& type = find_in(kLayerTypes, "model.layer_types", c.layer_type(layer));
  kernels::AttentionSpec mask;
  if (type.window || type.pattern != Kind::kNone) mask.sink_tokens = c.attention.sink_tokens;
  if (type.window) mask.window = *c.sliding_window;
  if (type.pattern != Kind::kNone)
    mask.pattern = {.kind = type.pattern,
                    .block = c.attention.sparse_block,
                    .stride = *c.attention.sparse_stride,
                    .local = c.attention.sparse_local.value_or(1),
                    .summary = c.attention.sparse_summary};
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

AttentionShape attention_options(const ModelConfig& config, const StackSpec& stack, int64_t layer) {
  const ModelConfig c = resolved(config);
  const InitScales scales = init_scales(c, stack);
  const kernels::AttentionSpec mask = mask_of(c, layer);
  AttentionShape o = attention_shape(c);
  o.bias = c.attention_bias;
  o.output_bias = *c.attention.output_bias;
  o.scale = *c.attention.scale;
  o.softcap = c.attn_logit_softcapping;
  o.causal = stack.causal;
  o.window = mask.window;
  o.sink_tokens = mask.sink_tokens;
  o.pattern = mask.pattern;
  o.sink_logits = c.attention.sink_logits;
  o.dropout = c.attention_dropout;
  o.make_norm = [&entry = norm_entry(c), own = c.norm.own()](const NormShape& shape) {
    return entry.make(shape, own);
  };
  o.norm_eps = *c.attention.norm_eps;
  o.init_std = scales.common;
  o.value_init_std = scales.values;
  o.output_init_std = scales.outputs;
  o.layer = layer;
  return o;
}

}  // namespace

std::unique_ptr<Attention> make_attention(const ModelConfig& c, const StackSpec& stack,
                                          int64_t layer) {
  return attention_entry(c).make(attention_options(c, stack, layer), c.attention.own());
}

std::unique_ptr<Attention> make_cross_attention(const ModelConfig& c, const StackSpec& stack,
                                                int64_t layer) {
  return make_cross_attention(attention_options(c, stack, layer));
}

const FeedForwardComponent& ffn_entry(const ModelConfig& c) {
  return find_in(feed_forwards(), "model.ffn.kind", c.ffn.kind);
}

FeedForwardShape ffn_shape(const ModelConfig& c, const StackSpec& stack) {
  const InitScales scales = init_scales(c, stack);
  // DeepNorm scales both matrices of the feed-forward layer.
  return {.hidden_size = c.hidden_size,
          .intermediate_size = c.ffn_width(),
          .activation = kernels::find_activation(c.hidden_act),
          .bias = c.mlp_bias,
          .init_std = placement_of(c).deep ? scales.outputs : scales.common,
          .output_init_std = scales.outputs,
          .causal = stack.causal,
          .body = c.body};
}

FeedForwardTraits ffn_traits(const ModelConfig& c) {
  return ffn_entry(c).traits({.hidden_size = c.hidden_size}, c.ffn.own());
}

std::unique_ptr<FeedForward> make_ffn(const ModelConfig& c, const StackSpec& stack, int64_t layer) {
  FeedForwardShape shape = ffn_shape(c, stack);
  shape.layer = layer;
  if (c.moe.in_layer(layer)) return make_moe(shape, c.moe);
  return ffn_entry(c).make(shape, c.ffn.own());
}

const PositionComponent& position_entry(const ModelConfig& c) {
  return find_in(positions(), "model.position.kind", c.position.kind);
}

const AttentionComponent& attention_entry(const ModelConfig& c) {
  return find_in(attentions(), "model.attention.kind", c.attention.kind);
}

AttentionShape attention_shape(const ModelConfig& c) {
  return {.hidden_size = c.hidden_size,
          .heads = c.num_attention_heads,
          .kv_heads = c.kv_heads(),
          .head_dim = c.head_width(),
          .qk_norm = qk_norm_of(c)};
}

AttentionTraits attention_traits(const ModelConfig& c) {
  return attention_entry(c).traits(attention_shape(c), c.attention.own());
}

PositionShape position_shape(const ModelConfig& c, const StackSpec& stack) {
  const AttentionTraits attention = attention_traits(c);
  return {.hidden_size = c.hidden_size,
          .heads = c.num_attention_heads,
          .layers = stack.layers + c.num_nextn_predict_layers,
          .max_positions = c.max_position_embeddings,
          .head_dim = c.head_width(),
          .key_width = attention.key_width,
          .value_width = attention.value_width,
          .rotary_width = attention.rotary_width,
          .rotary_apart = attention.rotary_apart,
          .keeps_heads = attention.keeps_heads,
          .init_std = c.initializer_range,
          .causal = stack.causal,
          .sees_later = !stack.causal || c.body_traits().prefix,
          .body = c.body};
}

PositionTraits position_traits(const ModelConfig& c) {
  return position_entry(c).traits(position_shape(c, main_stack(c)), c.position.own());
}

std::unique_ptr<Position> make_position(const ModelConfig& config, const StackSpec& stack) {
  const ModelConfig c = resolved(config);
  return position_entry(c).make(position_shape(c, stack), c.position.own());
}

}  // namespace lathe
