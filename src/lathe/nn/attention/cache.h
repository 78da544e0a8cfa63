// Keys and values of earlier tokens, for decoding.
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
  virtual std::pair<Tensor, Tensor> append(int64_t layer, const Tensor& k, const Tensor& v) = 0;
};

}  // namespace lathe
