// The options of one attention call: which query sees which key, what is added to the scores, and
// how they become weights. Kernels::attention (kernels.h) takes them in any combination.
//
// A call has B sequences, each with T queries and S keys of its own (attention/rows.h). Query t of
// a sequence has the absolute position p = S - T + t, so that the same spec serves training (T = S)
// and decoding (T < S), in one call if need be. With causal = false T and S are free
// (cross-attention), and p may be negative.
//
//   score(t, s) = scale · q_t · (k_s + shaw_keys[r]) + distance_bias[h, d] + key_bias[h, s]
//   score       = softcap · tanh(score / softcap), when there is a soft cap
//   weight      = softmax over the visible s of score, and over the sink logit of h; dropout
//   out_t       = sum_s weight(t, s) · (v_s + shaw_values[r])
// with d = clamp(s - p + distance_offset, 0, R - 1) and r = clamp(s - p, -w, w) + w.
//
// Key s is visible to the query at position p when their segments are equal, and
//     s < prefix[b]
//  or s <= p (causal) and (s < sink_tokens  or  (|p - s| < window  and  pattern(p, s))).
// So a prefix is seen by every query at any distance, a sink token by every later one, and window
// and pattern limit the rest. attention/visibility.h is this rule as code.
//
// With sink_query, positions are those in what a text streamed past a window keeps (Xiao et al.
// 2023): a sink token is at most c = sink_tokens + window - 1 away from the query. Scores of the
// sink tokens then have the row of sink_query, [N,H,D] like q, in place of q_t (queries turned to
// the position min(p, c)), and their distances begin at min(p, c) in place of p. It has no
// gradient, and cannot be combined with Shaw's tables.
//
// Tables are f32 (f64 with f64 activations on kRef), with a contiguous last dimension.
#pragma once

#include <cstdint>
#include <type_traits>

#include "lathe/kernels/attention/rows.h"
#include "lathe/tensor/tensor.h"

namespace lathe::kernels {

// Block-sparse patterns (Child et al. 2019, arXiv:1904.10509), on blocks of `block` positions;
// block = 1 is the form of the paper. Every query sees its own block, as far as the causal mask
// allows.
struct BlockPattern {
  enum class Kind : uint8_t {
    kNone,
    kStrided,  // the query's block, the local - 1 before it, and every stride-th before it
    kFixed,    // the blocks of the query's own group of `stride`, and the last `summary` of each
  };
  Kind kind = Kind::kNone;
  int64_t block = 1;
  int64_t stride = 1;  // in blocks
  int64_t local = 1;
  int64_t summary = 1;
};

// The tables that attention may add, each of them optional; also their gradients, if there are any.
// T is the type that holds a table: a view (AttentionSpec), a Var (ops/attention.cc).
template <class T>
struct AttentionTables {
  T distance_bias = {};  // [H,R]: ALiBi (arXiv:2108.12409), T5's buckets spread out
  T key_bias = {};       // [H, at least every S]; has no gradient
  T sink_logits = {};    // [H]: one more logit in the denominator, without a value
  T shaw_keys = {};      // [2w+1,D] (Shaw et al. 2018, arXiv:1803.02155)
  T shaw_values = {};    // [2w+1,Dv]

  // f(all of them): the list that every traversal uses.
  template <class F>
  decltype(auto) apply(F&& f) const {
    return f(distance_bias, key_bias, sink_logits, shaw_keys, shaw_values);
  }
  // f(table) for each.
  template <class F>
  void for_each(F&& f) const {
    apply([&](const auto&... table) { (f(table), ...); });
  }
  // Tables of the results of f for each.
  template <class F>
  auto map(F&& f) const {
    using Result = std::invoke_result_t<F, const T&>;
    return apply([&](const auto&... table) { return AttentionTables<Result>{f(table)...}; });
  }
};

// Kernels read keys and values in tiles, which begin at multiples of this many keys of a sequence:
// of a tile in which a query sees one key all are read, and must be finite.
constexpr int64_t kKeyTile = 64;

struct AttentionSpec {
  float scale = 1.0f;
  bool causal = true;
  int64_t window = 0;         // > 0: |p - s| < window
  int64_t sink_tokens = 0;    // Xiao et al. 2023, arXiv:2309.17453
  BlockPattern pattern = {};  // causal only
  float softcap = 0.0f;       // > 0: Gemma Team 2024, arXiv:2408.00118
  float dropout = 0.0f;       // probability of dropping a weight, after the softmax
  uint64_t dropout_key = 0;   // Rng key; element H·P + (h·T + t)·S + s decides, P the sum of
                              // T·S of the sequences before

  AttentionRows rows = {};

  // The rest is optional.
  TensorView query_segments =
      {};  // i32, of all queries and of all keys in their order, both or none:
  TensorView key_segments = {};  // packed documents, padding
  TensorView prefix = {};        // i32 [B] (Raffel et al. 2020, arXiv:1910.10683)
  // f32 [R,K], both where k and v are int8 (tensor/int8_rows.h): row r of head h is its integers
  // times the scale. The backward has no such keys.
  TensorView key_scales = {}, value_scales = {};
  TensorView sink_query = {};  // [N,H,D]; needs a window and sink_tokens
  AttentionTables<TensorView> tables = {};
  int64_t distance_offset = 0;

  // Where the query at position p stands as sink tokens see it.
  int64_t position_for_sinks(int64_t p) const {
    const int64_t farthest = sink_tokens + window - 1;
    return sink_query && p > farthest ? farthest : p;
  }
};

}  // namespace lathe::kernels
