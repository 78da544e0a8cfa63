// What layers keep of earlier tokens, for decoding: keys and values, and for layers that look back
// a few tokens only, those.
#pragma once

#include <cstdint>
#include <utility>

#include "lathe/tensor/tensor.h"

namespace lathe {

class AttentionCache {
 public:
  virtual ~AttentionCache() = default;
  // Number of tokens already held (before the current forward pass).
  virtual int64_t length() const = 0;
  // Appends k, v [B,T,K,D] of `layer` and returns views of everything held there, [B,S,K,D] each.
  // The widths of k and v may differ, and differ between layers; v may be undefined (keys alone).
  virtual std::pair<Tensor, Tensor> append(int64_t layer, const Tensor& k, const Tensor& v) = 0;
  // For a layer that looks at the last `keep` tokens before the ones at hand (a causal
  // convolution): x [B,T,F] of `layer` behind those that are held, at most `keep`: [B,
  // min(length(), keep) + T, F]. The last `keep` of the result are held from then on.
  virtual Tensor append_recent(int64_t layer, const Tensor& x, int64_t keep) = 0;
  // Ends a forward pass of `tokens` tokens: every layer has appended.
  virtual void advance(int64_t tokens) = 0;
};

}  // namespace lathe
