// What layers keep of earlier tokens, for decoding. Keys and values of self-attention, those that
// cross-attention makes of an encoder's text, and the recent inputs of a causal convolution are all
// layers of one cache.
#pragma once

#include <cstdint>

#include "lathe/ops/attention.h"
#include "lathe/ops/rows.h"

namespace lathe {

struct CacheLayer {
  enum class Kind : uint8_t { kSelf, kCross, kRecent };
  Kind kind = Kind::kSelf;
  int64_t index = 0;
  // kRecent: how many tokens before those of a pass are needed.
  int64_t keep = 0;
};

// Within a pass every layer first writes, then asks for its view. The pass is ended by the owner of
// the cache, who also says in Rows::context what the cache held before; layers do not.
class AttentionCache {
 public:
  virtual ~AttentionCache() = default;
  // k [N,K,D], v [N,K,Dv] or undefined, of the rows of a pass: behind what the layer holds of each
  // sequence. Of kCross the rows are those of the encoder's text, and they are written once.
  virtual void write(const CacheLayer& layer, const Rows& rows, const Tensor& k,
                     const Tensor& v) = 0;
  // What the layer holds, the rows of the pass included; of kRecent only the last `keep` before them.
  virtual ops::KeyValues view(const CacheLayer& layer, const Rows& rows) const = 0;
  // Whether the layer was written to.
  virtual bool holds(const CacheLayer& layer) const = 0;
};

}  // namespace lathe
