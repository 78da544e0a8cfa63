// The components of a model as its configuration asks for them, and the shapes that they are given.
// Errors: kConfig, naming the key.
#pragma once

#include <memory>

#include "lathe/model/model_config.h"
#include "lathe/model/stack_spec.h"
#include "lathe/nn/attention/attention.h"
#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/norm/norm.h"
#include "lathe/nn/position/position.h"

namespace lathe {

using ChosenNorm = Chosen<Norm, NormShape, NoTraits>;
using ChosenAttention = Chosen<Attention, AttentionShape, AttentionTraits>;
using ChosenFeedForward = Chosen<FeedForward, FeedForwardShape, FeedForwardTraits>;
using ChosenPosition = Chosen<Position, PositionShape, PositionTraits>;

// The entries of the catalogues that the configuration chooses, which must outlive them, with what
// their components are given.
ChosenNorm norm_of(const ModelConfig& config);            // of the residual stream
ChosenAttention attention_of(const ModelConfig& config);  // what all layers share: not to be made
ChosenFeedForward ffn_of(const ModelConfig& config, const StackSpec& stack);
FeedForwardTraits ffn_traits(const ModelConfig& config);
ChosenPosition position_of(const ModelConfig& config, const StackSpec& stack);

std::unique_ptr<Norm> make_norm(const ModelConfig& config);
std::unique_ptr<Attention> make_attention(const ModelConfig& config, const StackSpec& stack,
                                          int64_t layer);
std::unique_ptr<Attention> make_cross_attention(const ModelConfig& config, const StackSpec& stack,
                                                int64_t layer);
std::unique_ptr<FeedForward> make_ffn(const ModelConfig& config, const StackSpec& stack,
                                      int64_t layer);  // or experts
std::unique_ptr<Position> make_position(const ModelConfig& config, const StackSpec& stack);

}  // namespace lathe
