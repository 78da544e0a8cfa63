// Feed-forward layers and their catalogue.
#pragma once

#include <memory>
#include <span>

#include "lathe/config/component.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"

namespace lathe {

// What every feed-forward layer is given.
struct FeedForwardShape {
  int64_t hidden_size = 0, intermediate_size = 0;
  kernels::ActivationId activation = {};
  bool bias = false;
  double init_std = 0.02, output_init_std = 0.02;
  int64_t layer = 0;
  bool causal = true;          // a token must not see later ones
  std::string_view body = {};  // for errors
};

class FeedForward : public Module {
 public:
  virtual Var forward(const Forward& f, const Var& x) const = 0;  // [N,C] -> [N,C]
};

// The properties of a kind that are known without building it.
struct FeedForwardTraits {
  int64_t default_width = 0;  // F, from hidden_size
  bool gated = false;         // up and gate projections, which are multiplied
  bool expert = false;        // nn/moe/experts.h can stack it
  int64_t kept = 1;  // times F elements of a token are kept for the backward (model/summary.cc)
};

using FeedForwardComponent = Component<FeedForward, FeedForwardShape, FeedForwardTraits>;
std::span<const FeedForwardComponent> feed_forwards();

template <class Class, class Config = NoConfig>
FeedForwardComponent feed_forward_component(const ComponentText& text) {
  return component<FeedForward, FeedForwardShape, Class, Config, FeedForwardTraits>(text);
}

}  // namespace lathe
