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

// softmax(scale·q·kᵀ + mask)·v. q [B,T,H,D], k, v [B,S,K,D], H a multiple of K -> [B,T,H,D]. The
// spec says what is visible; its segments must outlive the backward (pass them in `segments`).
// Saves q, k, v, the output and one number per query; nothing of size T·S.
struct AttentionSegments {
  Tensor query, key;  // i32 [B,T], [B,S]; undefined for none
};
Var attention(const Var& q, const Var& k, const Var& v, kernels::AttentionSpec spec,
              const AttentionSegments& segments);

}  // namespace lathe::ops
