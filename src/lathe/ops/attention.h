// Heads, rotary positions and attention.
#pragma once

#include <array>

#include "lathe/autograd/tape.h"
#include "lathe/ops/rows.h"

namespace lathe::ops {

struct HeadCounts {
  int64_t query, key, value;
};

// x [N,(Hq+Hk+Hv)·D] -> views [N,Hq,D], [N,Hk,D], [N,Hv,D] of one fused projection.
std::array<Var, 3> split_heads(const Var& x, const HeadCounts& heads);

// x [N,H·D] -> [N,H,D], a view: the inverse of merge_heads.
Var split_heads(const Var& x, int64_t heads);

// x [N,H,D] -> [N,H·D], a view.
Var merge_heads(const Var& x);

// Rotates the first R channels of every head by its position (Su et al. 2021, arXiv:2104.09864). x
// [N,H,D]; cos, sin [P,R/2] in the accumulation dtype; positions i32 [N], each < P: the row of the
// tables for each token.
struct RopeTables {
  Tensor cos, sin;
};
Var rope(const Var& x, const RopeTables& tables, const Tensor& positions,
         kernels::RopeLayout layout);
// The same in place, in the memory of x, which nothing else may read afterwards; this saves
// activation memory.
Var rope_in_place(const Var& x, const RopeTables& tables, const Tensor& positions,
                  kernels::RopeLayout layout);

// The inputs of attention in addition to q, k and v. Everything is optional: undefined if absent.
struct AttentionSegments {
  Tensor query = {}, key = {};  // i32 [N], [M]; both or none
};
// [H,R] in the accumulation dtype, added to scores by distance: entry s - p + offset, clamped to
// the ends, p the query's absolute position S - T + t in its sequence. attention_bias.h makes such
// tables.
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
  Tensor key_bias = {};                  // [H, at least every S], accumulation dtype
  Var sink_logits = {};                  // [H], accumulation dtype
  Var shaw_keys = {}, shaw_values = {};  // [2w+1,D], [2w+1,Dv], accumulation dtype
  Tensor sink_query = {};                // [N,H,D], q for sink tokens (kernels/attention/spec.h)
};

// Keys and values, and which rows belong to which sequence: key s of sequence b, of keys.length(b),
// is row blocks[b, s / block_size] + s % block_size.
struct KeyValues {
  Var k, v;        // [R,K,D], [R,K,Dv]; without heads if no attention reads them
  Sequences keys;  // M in all
  Tensor blocks;   // i32 [B,n]
  int64_t block_size = 1;
  // f32 [R,K], where k and v are int8 (tensor/int8_rows.h), as a cache may keep them; else undefined.
  Tensor k_scales = {}, v_scales = {};

  // Rows packed one sequence after the other.
  static KeyValues packed(const Var& k, const Var& v, const Sequences& keys);
};

// softmax(scores)·v with the masks, biases and options of `spec` (kernels/attention/spec.h), whose
// rows, optional tensors and distance_offset are taken from the other arguments instead. q [N,H,D]
// of the sequences `queries`, H a multiple of K -> [N,H,Dv]. k and v have a gradient only if every
// row is one key of one sequence: those of a cache have none. Both may have a smaller type than q, bf16 or
// int8, if nothing is recorded. Saves q, k, v, the output and one
// number per query and head; nothing of size T·S. Throws kShape if anything does not fit, kConfig
// for an invalid pattern.
Var attention(const Var& q, const Sequences& queries, const KeyValues& kv,
              kernels::AttentionSpec spec, const AttentionInputs& inputs);

}  // namespace lathe::ops
