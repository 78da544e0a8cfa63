// Feed-forward layers and their catalogue.
#pragma once

#include <memory>
#include <span>

#include "lathe/base/catalogue.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"

namespace lathe {

// The convolution of kind mix: causal, or 3 × 3 on a grid of tokens.
struct ConvOptions {
  int64_t width = 3;                        // tokens that a causal one sees, itself included
  int64_t grid_height = 0, grid_width = 0;  // 0: causal
  int64_t taps() const { return grid_height > 0 ? 9 : width; }
};

struct FeedForwardOptions {
  int64_t hidden_size = 0, intermediate_size = 0;
  kernels::ActivationId activation;
  bool bias = false;
  double init_std = 0.02, output_init_std = 0.02;
  int64_t layer = 0;
  ConvOptions conv = {};  // of kind mix only
};

class FeedForward : public Module {
 public:
  virtual Var forward(const Forward& f, const Var& x) = 0;  // [B,T,C] -> [B,T,C]
};

using MakeFeedForward = std::unique_ptr<FeedForward> (*)(const FeedForwardOptions&);
std::span<const CatalogueEntry<MakeFeedForward>> feed_forwards();

// One function per file in ffn/.
std::unique_ptr<FeedForward> make_mlp(const FeedForwardOptions& options);
std::unique_ptr<FeedForward> make_gated(const FeedForwardOptions& options);
std::unique_ptr<FeedForward> make_mix(const FeedForwardOptions& options);

}  // namespace lathe
