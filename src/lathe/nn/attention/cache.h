// What layers keep of earlier tokens for decoding. Keys and values of self-attention, those that
// cross-attention computes from an encoder's text, and the recent inputs of a causal convolution
// are all layers of one cache.
#pragma once

#include <cstdint>
#include <limits>

#include "lathe/ops/attention.h"
#include "lathe/ops/rows.h"

namespace lathe {

struct CacheLayer {
  // kState is not a layer's: what the head reads of each token, for those who ask for it.
  enum class Kind : uint8_t { kSelf, kCross, kRecent, kState };
  static constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  Kind kind = Kind::kSelf;
  int64_t index = 0;
  // How many tokens before those of a pass the layer reads: a window, or the width of a convolution.
  // The same in every pass.
  int64_t reach = kAll;
  // So many tokens at the beginning of a text are read by all, whatever the reach.
  int64_t sinks = 0;
};

// Within a pass every layer first writes, then requests its view. The owner of the cache, not a
// layer, ends the pass and sets Rows::context to what the cache held before.
class AttentionCache {
 public:
  virtual ~AttentionCache() = default;
  // k [N,K,D], v [N,K,Dv] or undefined, of the rows of a pass, are appended to what the layer holds
  // of each sequence. For kCross the rows are those of the encoder's text: a sequence has rows in
  // its first pass, and none in later ones.
  virtual void write(const CacheLayer& layer, const Rows& rows, const Tensor& k,
                     const Tensor& v) = 0;
  // What the layer holds, including the rows of the pass; for kRecent only the last `reach` before
  // them, packed.
  virtual ops::KeyValues view(const CacheLayer& layer, const Rows& rows) const = 0;
};

}  // namespace lathe
