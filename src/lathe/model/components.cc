#include "lathe/model/components.h"

#include "lathe/model/layer_masks.h"
#include "lathe/nn/moe/moe.h"

namespace lathe {

ChosenNorm norm_of(const ModelConfig& c) {
  return chosen_of(norms(), "model.norm", c.norm,
                   NormShape{.width = c.hidden_size, .eps = c.norm.eps, .bias = c.norm.bias});
}

std::unique_ptr<Norm> make_norm(const ModelConfig& c) { return norm_of(c).make(); }

namespace {

QkNorm qk_norm_of(const ModelConfig& c) {
  if (c.attention.qk_norm == "none") return QkNorm::kNone;
  return c.attention.qk_norm == "head" ? QkNorm::kHead : QkNorm::kFull;
}

AttentionShape shape_of_layer(const ModelConfig& config, const StackSpec& stack, int64_t layer) {
  const ModelConfig c = resolved(config);
  const kernels::AttentionSpec mask = mask_of(c, layer);
  AttentionShape shape = attention_of(c).shape;
  shape.bias = c.attention_bias;
  shape.output_bias = *c.attention.output_bias;
  shape.scale = *c.attention.scale;
  shape.softcap = c.attn_logit_softcapping;
  shape.causal = stack.causal;
  shape.window = mask.window;
  shape.sink_tokens = mask.sink_tokens;
  shape.pattern = mask.pattern;
  shape.sink_logits = c.attention.sink_logits;
  shape.dropout = c.attention_dropout;
  shape.make_norm = [&entry = norm_of(c).entry, own = c.norm.own()](const NormShape& norm) {
    return entry.make(norm, own);
  };
  shape.norm_eps = *c.attention.norm_eps;
  shape.init_std = stack.init.common;
  shape.value_init_std = stack.init.values;
  shape.output_init_std = stack.init.outputs;
  shape.layer = layer;
  return shape;
}

}  // namespace

ChosenAttention attention_of(const ModelConfig& c) {
  return chosen_of(attentions(), "model.attention", c.attention,
                   AttentionShape{.hidden_size = c.hidden_size,
                                  .heads = c.num_attention_heads,
                                  .kv_heads = c.kv_heads(),
                                  .head_dim = c.head_width(),
                                  .qk_norm = qk_norm_of(c)});
}

std::unique_ptr<Attention> make_attention(const ModelConfig& c, const StackSpec& stack,
                                          int64_t layer) {
  ChosenAttention attention = attention_of(c);
  attention.shape = shape_of_layer(c, stack, layer);
  return attention.make();
}

std::unique_ptr<Attention> make_cross_attention(const ModelConfig& c, const StackSpec& stack,
                                                int64_t layer) {
  return make_cross_attention(shape_of_layer(c, stack, layer));
}

FeedForwardTraits ffn_traits(const ModelConfig& c) {
  return chosen_of(feed_forwards(), "model.ffn", c.ffn,
                   FeedForwardShape{.hidden_size = c.hidden_size})
      .traits();
}

ChosenFeedForward ffn_of(const ModelConfig& c, const StackSpec& stack) {
  return chosen_of(feed_forwards(), "model.ffn", c.ffn,
                   FeedForwardShape{.hidden_size = c.hidden_size,
                                    .intermediate_size = c.ffn_width(),
                                    .activation = kernels::find_activation(c.hidden_act),
                                    .bias = c.mlp_bias,
                                    .init_std = stack.init.ffn_inputs,
                                    .output_init_std = stack.init.outputs,
                                    .causal = stack.causal,
                                    .body = c.body});
}

std::unique_ptr<FeedForward> make_ffn(const ModelConfig& c, const StackSpec& stack, int64_t layer) {
  ChosenFeedForward ffn = ffn_of(c, stack);
  ffn.shape.layer = layer;
  return c.moe.in_layer(layer) ? make_moe(ffn.shape, c.moe) : ffn.make();
}

ChosenPosition position_of(const ModelConfig& c, const StackSpec& stack) {
  const AttentionTraits attention = attention_of(c).traits();
  return chosen_of(positions(), "model.position", c.position,
                   PositionShape{.hidden_size = c.hidden_size,
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
                                 .body = c.body});
}

std::unique_ptr<Position> make_position(const ModelConfig& config, const StackSpec& stack) {
  const ModelConfig c = resolved(config);
  return position_of(c, stack).make();
}

}  // namespace lathe
