// Attention layers and their catalogue.
#pragma once

#include <memory>
#include <span>

#include "lathe/nn/catalogue.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"
#include "lathe/nn/position/position.h"

namespace lathe {

struct AttentionOptions {
  int64_t hidden_size = 0, heads = 0, kv_heads = 0, head_dim = 0;
  bool bias = false;
  double dropout = 0.0;
  double init_std = 0.02, output_init_std = 0.02;
  int64_t layer = 0;
};

class Attention : public Module {
 public:
  // x [B,T,C] -> [B,T,C]; `position` acts on queries and keys.
  virtual Var forward(const Forward& f, Position& position, const Var& x) = 0;
};

using MakeAttention = std::unique_ptr<Attention> (*)(const AttentionOptions&);
std::span<const CatalogueEntry<MakeAttention>> attentions();

// One function per file in attention/.
std::unique_ptr<Attention> make_grouped_attention(const AttentionOptions& options);

}  // namespace lathe
