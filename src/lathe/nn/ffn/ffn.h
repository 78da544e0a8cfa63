// Feed-forward layers and their catalogue.
#pragma once

#include <memory>
#include <span>

#include "lathe/nn/catalogue.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"

namespace lathe {

struct FeedForwardOptions {
  int64_t hidden_size = 0, intermediate_size = 0;
  kernels::ActivationId activation;
  bool bias = false;
  double init_std = 0.02, output_init_std = 0.02;
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

}  // namespace lathe
