// Heads, rotary positions and attention.
#pragma once

#include <array>

#include "lathe/autograd/tape.h"

namespace lathe::ops {

struct HeadCounts {
  int64_t query, key, value;
};

// x [B,T,(Hq+Hk+Hv)·D] -> views [B,T,Hq,D], [B,T,Hk,D], [B,T,Hv,D] of one fused projection.
std::array<Var, 3> split_heads(const Var& x, const HeadCounts& heads);

// x [B,T,H·D] -> [B,T,H,D], a view: what merge_heads undoes.
Var split_heads(const Var& x, int64_t heads);

// x [B,T,H,D] -> [B,T,H·D], a view.
Var merge_heads(const Var& x);

// Rotates the first R channels of every head by its position (Su et al. 2021, arXiv:2104.09864).
// x [B,T,H,D]; cos, sin [P,R/2] in the accumulation dtype; positions i32 [B,T], each < P.
struct RopeTables {
  Tensor cos, sin;
};
Var rope(const Var& x, const RopeTables& tables, const Tensor& positions,
         kernels::RopeLayout layout);
// The same into the memory of x, which nothing else may read afterwards: a layer's activations are
// that much smaller.
Var rope_in_place(const Var& x, const RopeTables& tables, const Tensor& positions,
                  kernels::RopeLayout layout);

// What attention takes beside q, k and v. Everything is optional: undefined when absent.
struct AttentionSegments {
  Tensor query = {}, key = {};  // i32 [B,T], [B,S]; both or none
};
// [H,R] in the accumulation dtype, added to scores by distance: entry s - p + offset, clamped to
// the ends, p the query's absolute position S - T + t. attention_bias.h makes some.
struct DistanceBias {
  Var table;
  int64_t offset = 0;

  // Not an aggregate: GCC 12 takes the members of one inside an aggregate for uninitialised.
  DistanceBias() = default;
  DistanceBias(Var t, int64_t o) : table(std::move(t)), offset(o) {}
};
struct AttentionInputs {
  AttentionSegments segments = {};
  Tensor prefix = {};                    // i32 [B]: keys before it are visible to every query
  DistanceBias distance_bias = {};       // differentiable, as are all Vars here
  Tensor key_bias = {};                  // [H,S] or [B,H,S], accumulation dtype
  Var sink_logits = {};                  // [H], accumulation dtype
  Var shaw_keys = {}, shaw_values = {};  // [2w+1,D], [2w+1,Dv], accumulation dtype
};

// softmax(scores)·v with the masks, biases and options of `spec` (kernels/attention/spec.h), whose
// optional tensors and distance_offset are taken from `inputs` instead. q [B,T,H,D], k [B,S,K,D],
// v [B,S,K,Dv], H a multiple of K -> [B,T,H,Dv]. Saves q, k, v, the output and one number per
// query; nothing of size T·S. Error kShape when anything does not fit, kConfig for a pattern that
// is none.
Var attention(const Var& q, const Var& k, const Var& v, kernels::AttentionSpec spec,
              const AttentionInputs& inputs);

}  // namespace lathe::ops
