// Attention layers and their catalogue.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>

#include "lathe/base/catalogue.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"
#include "lathe/nn/norm/norm.h"
#include "lathe/nn/position/position.h"

namespace lathe {

// What is normalised before queries and keys meet (Henry et al. 2020, arXiv:2010.04245).
enum class QkNorm : uint8_t {
  kNone,
  kHead,  // each head's D channels, one gain [D] for all heads
  kFull,  // all heads together, gains [H·D] and [K·D]
};

// Latent attention: ranks of the narrow vectors, and what a head consists of.
struct LatentOptions {
  int64_t kv_rank = 0;
  int64_t query_rank = 0;  // 0: queries come straight from x
  int64_t nope_width = 0, rope_width = 0, value_width = 0;
};

struct AttentionOptions {
  int64_t hidden_size = 0, heads = 0, kv_heads = 0, head_dim = 0;
  bool bias = false, output_bias = false;
  double scale = 1.0;
  double softcap = 0.0;
  bool causal = true;
  int64_t window = 0;       // 0: no limit
  int64_t sink_tokens = 0;  // seen from beyond the window and through the pattern
  kernels::BlockPattern pattern = {};
  bool sink_logits = false;
  double dropout = 0.0;
  QkNorm qk_norm = QkNorm::kNone;
  MakeNorm make_norm = nullptr;  // of queries and keys
  double norm_eps = 1e-5;
  double init_std = 0.02, value_init_std = 0.02, output_init_std = 0.02;
  int64_t layer = 0;
  LatentOptions latent = {};  // of kind latent only
};

class Attention : public Module {
 public:
  // x [B,T,C] -> [B,T,C]; `position` acts on queries and keys.
  virtual Var forward(const Forward& f, Position& position, const Var& x) = 0;
};

using MakeAttention = std::unique_ptr<Attention> (*)(const AttentionOptions&);
std::span<const CatalogueEntry<MakeAttention>> attentions();

AttentionSite site_of(const AttentionOptions& options);

// A layer's trained logits in the denominator of its softmax, [H] from zero; nothing when the
// options do not ask for them.
std::optional<Parameter> make_sinks(const AttentionOptions& options);

// ops::attention with what the options and the pass say: scale, soft cap, mask, and dropout while
// training.
Var attend_with(const Forward& f, const AttentionOptions& options, const std::array<Var, 3>& qkv,
                const ops::AttentionInputs& inputs);
// The same of a sequence with itself: with its segments, prefix, positions and sinks.
Var attend(const Forward& f, const AttentionOptions& options, Position& position,
           const std::array<Var, 3>& qkv, std::optional<Parameter>& sinks);

// One function per file in attention/.
std::unique_ptr<Attention> make_grouped_attention(const AttentionOptions& options);
std::unique_ptr<Attention> make_latent_attention(const AttentionOptions& options);
// Beside the self-attention of a decoder that has an encoder; reads Forward::memory.
std::unique_ptr<Attention> make_cross_attention(const AttentionOptions& options);

}  // namespace lathe
