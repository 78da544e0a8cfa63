// Attention layers and their catalogue.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>

#include "lathe/config/component.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"
#include "lathe/nn/norm/norm.h"
#include "lathe/nn/position/position.h"

namespace lathe {

// What is normalised before the product of queries and keys (Henry et al. 2020, arXiv:2010.04245).
enum class QkNorm : uint8_t {
  kNone,
  kHead,  // each head's D channels, one gain [D] for all heads
  kFull,  // all heads together, gains [H·D] and [K·D]
};

// What every attention layer is given. Its traits and its check read only the first line and
// qk_norm.
struct AttentionShape {
  int64_t hidden_size = 0, heads = 0, kv_heads = 0, head_dim = 0;
  bool bias = false, output_bias = false;
  double scale = 1.0;
  double softcap = 0.0;
  bool causal = true;
  int64_t window = 0;       // 0: no limit
  int64_t sink_tokens = 0;  // visible from outside the window and the pattern
  kernels::BlockPattern pattern = {};
  bool sink_logits = false;
  double dropout = 0.0;
  QkNorm qk_norm = QkNorm::kNone;
  MakeNorm make_norm = {};  // of queries and keys
  double norm_eps = 1e-5;
  double init_std = 0.02, value_init_std = 0.02, output_init_std = 0.02;
  int64_t layer = 0;
};

class Attention : public Module {
 public:
  // x [N,C] -> [N,C]; `positions` act on queries and keys.
  virtual Var forward(const Forward& f, const PassPositions& positions, const Var& x) const = 0;
};

// The properties of a kind of attention that are known without building it.
struct AttentionTraits {
  int64_t key_width = 0, value_width = 0;  // of a head: of queries and keys, and of values
  int64_t rotary_width = 0;                // channels of a head that can rotate
  bool rotary_apart = false;               // which are separate from the others
  bool keeps_heads = true;                 // keys and values of every key/value head
  int64_t cached = 0;                      // elements that a cache keeps of a token
  // Elements per token that training keeps from forward to backward (model/summary.cc), and how
  // many more with rotary positions.
  int64_t kept = 0, kept_rotated = 0;
};

using AttentionComponent = Component<Attention, AttentionShape, AttentionTraits>;
std::span<const AttentionComponent> attentions();

template <class Class, class Config = NoConfig>
AttentionComponent attention_component(const ComponentText& text) {
  return component<Attention, AttentionShape, Class, Config, AttentionTraits>(text);
}

AttentionSite site_of(const AttentionShape& options);

// A layer's learned logits in the denominator of its softmax, [H], initialised to zero; nothing if
// the options do not enable them.
std::optional<Parameter> make_sinks(const AttentionShape& options);

// The keys and values that the rows of the pass attend to: their own, and with a cache also those
// of earlier tokens. k [N,K,D], v [N,K,Dv], undefined if the cache keeps only keys.
ops::KeyValues keys_and_values(const Forward& f, const AttentionShape& options, const Var& k,
                               const Var& v);

// ops::attention with the settings of the options and the pass: scale, soft cap, mask, and dropout
// in training. q [N,H,D] -> [N,H,Dv].
Var attend_with(const Forward& f, const AttentionShape& options, const Var& q,
                const ops::KeyValues& kv, const ops::AttentionInputs& inputs);
// Queries [N,H,D], and those for the sink tokens of a streamed text (PassPositions).
struct Queries {
  Var of_all;
  Var of_sinks = {};
};
// The same for self-attention, with the segments, prefix, positions and sinks of the sequence. A
// streamed text has the pass's window and sinks in place of the layer's.
Var attend(const Forward& f, const AttentionShape& options, const PassPositions& positions,
           const Queries& q, const ops::KeyValues& kv, const std::optional<Parameter>& sinks);

// In addition to the self-attention of a decoder with an encoder; reads Forward::memory.
std::unique_ptr<Attention> make_cross_attention(const AttentionShape& options);

}  // namespace lathe
