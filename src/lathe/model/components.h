// The components of a model as its configuration asks for them: names looked up in the catalogues
// of nn/, keys translated into options. Errors: kConfig, naming the key.
#pragma once

#include <memory>

#include "lathe/model/model_config.h"
#include "lathe/nn/attention/attention.h"
#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/norm/norm.h"
#include "lathe/nn/norm/placement.h"
#include "lathe/nn/position/position.h"

namespace lathe {

// One stack of blocks of a body.
struct StackSpec {
  int64_t layers = 0;
  bool causal = true;
  bool crosses = false;    // every block also attends to an encoder's output
  DeepNormConstants deep;  // of a placement that has any
};
StackSpec main_stack(const ModelConfig& config);     // the only one, or the decoder
StackSpec encoder_stack(const ModelConfig& config);  // of a body with an encoder

std::unique_ptr<Norm> make_norm(const ModelConfig& config);
NormPlacement placement_of(const ModelConfig& config);
// Who sees whom in a layer: window, sink tokens and pattern.
kernels::AttentionSpec mask_of(const ModelConfig& config, int64_t layer);
std::unique_ptr<Attention> make_attention(const ModelConfig& config, const StackSpec& stack,
                                          int64_t layer);
std::unique_ptr<Attention> make_cross_attention(const ModelConfig& config, const StackSpec& stack,
                                                int64_t layer);
std::unique_ptr<FeedForward> make_ffn(const ModelConfig& config, const StackSpec& stack,
                                      int64_t layer);  // or experts
std::unique_ptr<Position> make_position(const ModelConfig& config, const StackSpec& stack);

// The entries of the catalogues, and what their components are given.
const NormComponent& norm_entry(const ModelConfig& config);
NormShape norm_shape(const ModelConfig& config);  // of the residual stream
const AttentionComponent& attention_entry(const ModelConfig& config);
// What all layers share: enough for traits and checks.
AttentionShape attention_shape(const ModelConfig& config);
AttentionTraits attention_traits(const ModelConfig& config);
const FeedForwardComponent& ffn_entry(const ModelConfig& config);
FeedForwardShape ffn_shape(const ModelConfig& config, const StackSpec& stack);
FeedForwardTraits ffn_traits(const ModelConfig& config);
const PositionComponent& position_entry(const ModelConfig& config);
PositionShape position_shape(const ModelConfig& config, const StackSpec& stack);
PositionTraits position_traits(const ModelConfig& config);  // of the main stack

}  // namespace lathe
