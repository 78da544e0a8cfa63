// Attention forward by tiles (Dao et al. 2022, arXiv:2205.14135).
//
// For one tile of 64 queries the keys pass by in tiles of 64: scores = Q·Kᵀ, a running maximum m
// and sum l rescale what was accumulated (Milakov & Gimelshein 2018, arXiv:1805.02867), out +=
// weights·V. Nothing larger than a tile of scores exists. Keys and values of a head are brought
// into the form of operands (attention_operands.h) once per unit of work, keys transposed, so that
// both products are row-times-matrix, and shared by the query heads of the group. Where bf16 is
// multiplied in pairs, weights are rounded to bf16 for the second product; their sum is of the
// unrounded ones.
//
// A unit of work is (sequence, key/value head, part of the queries); units are independent, so
// threads take them as they come and the result does not depend on who took which. Few queries
// (decoding) take another path (attention_decode.h) that reads keys and values in place.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "lathe/base/parallel.h"
#include "lathe/base/rng.h"
#include "lathe/kernels/activation/math.h"
#include "lathe/kernels/attention/visibility.h"
#include "lathe/kernels/cpu/isa/isa.h"
#include "lathe/kernels/cpu/scratch.h"
#include "lathe/kernels/kernels.h"
#include "lathe/kernels/ref/ref.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/attention_decode.h"

namespace {

// Behind each row of `out` lies the row's sum of weights per relation, when Shaw's values are
// added, so that one rescaling serves both.
int64_t out_stride(const AttentionCall& c) { return c.value_depth + c.value_relations; }

// Buffers of one thread for operands of type E. Keys, values and tables are converted once per unit
// of work, the rest is for one tile.
template <class E>
struct ForwardBuffers {
  QueryRows<E> query;
  E *keys, *values, *weights;
  float *shaw_keys, *shaw_values;
  float *related, *scores, *factors, *out, *maximum, *sum;

  template <class Take>
  ForwardBuffers(const AttentionCall& c, Take&& take)
      : query(c.depth, {.plain = bool(c.tables().shaw_keys)}, take) {
    const int64_t all = padded(c.most_keys, kKeyTile), tile = kQueryTile * kKeyTile;
    keys = take_operand<E>(take, all * c.depth);
    values = take_operand<E>(take, all * c.value_depth);
    weights = take_operand<E>(take, std::is_same_v<E, float> ? 0 : tile);
    shaw_keys = take(c.key_relations * c.depth);
    shaw_values = take(c.value_relations * c.value_depth);
    related = take(kQueryTile * c.key_relations);
    scores = take(tile);
    factors = take(c.spec->dropout > 0.0f ? tile : 0);
    out = take(kQueryTile * out_stride(c));
    maximum = take(kQueryTile);
    sum = take(kQueryTile);
  }
};

// One tile of the online softmax: scores become weights exp(score - m); out and sum are rescaled to
// the new m.
template <class E>
void absorb_scores(const AttentionCall& c, int64_t rows, const ForwardBuffers<E>& w) {
  const int64_t stride = out_stride(c);
  for (int64_t r = 0; r < rows; ++r) {
    float* row = w.scores + r * kKeyTile;
    float top = w.maximum[r];
#pragma omp simd reduction(max : top)
    for (int64_t j = 0; j < kKeyTile; ++j) top = row[j] > top ? row[j] : top;
    if (top == kNothing) {
      std::fill(row, row + kKeyTile, 0.0f);
      continue;
    }
    float total = 0.0f;
#pragma omp simd reduction(+ : total)
    for (int64_t j = 0; j < kKeyTile; ++j) {
      const float p = kernels::math::exp_nonpositive(row[j] - top);
      row[j] = p;
      total += p;
    }
    if (top != w.maximum[r]) {
      const float shrink = kernels::math::exp_nonpositive(w.maximum[r] - top);
      float* out = w.out + r * stride;
#pragma omp simd
      for (int64_t d = 0; d < stride; ++d) out[d] *= shrink;
      w.sum[r] *= shrink;
      w.maximum[r] = top;
    }
    w.sum[r] += total;
  }
}

// out += weights · values of one tile of keys.
template <class E>
void absorb_values(const AttentionCall& c, const ScoreTile& tile, const ForwardBuffers<E>& w) {
  const int64_t stride = out_stride(c);
  if (c.spec->dropout > 0.0f) {
    dropout_factors(c, tile, w.factors);
#pragma omp simd
    for (int64_t i = 0; i < tile.rows * kKeyTile; ++i) w.scores[i] *= w.factors[i];
  }
  const TileOperand<E> p = along_keys(w.scores, tile.rows, w.weights);
  tile_product<true, E>({tile.rows, c.value_depth, operand_length<E>(tile.columns), p.data, p.row,
                         p.col, w.values + operand_length<E>(tile.s) * c.value_depth, c.value_depth,
                         w.out, stride});
  if (c.tables().shaw_values)
    collect_relations(c, tile, c.tables().shaw_values, w.scores, {w.out + c.value_depth, stride});
}

template <class T>
void store_outputs(const AttentionCall& c, int64_t h, Range rows,
                   const ForwardBuffers<Operand<T>>& w, const ForwardOutputs& to) {
  const int64_t count = rows.size(), stride = out_stride(c);
  if (c.tables().shaw_values)
    tile_product<true, float>({count, c.value_depth, c.tables().shaw_values.shape[0],
                               w.out + c.value_depth, stride, 1, w.shaw_values, c.value_depth,
                               w.out, stride});
  for (int64_t r = 0; r < count; ++r) {
    const float inverse = w.sum[r] > 0.0f ? 1.0f / w.sum[r] : 0.0f;
    float* row = w.out + r * stride;
#pragma omp simd
    for (int64_t d = 0; d < c.value_depth; ++d) row[d] *= inverse;
    if (to.lse)
      to.lse.as<float>()[c.in_lse(h, rows.begin + r)] =
          w.sum[r] > 0.0f ? w.maximum[r] + std::log(w.sum[r]) : kNothing;
  }
  store_rows<T>(w.out, stride, to.out, c.sequence.query_rows, h, rows);
}

template <class T>
void forward_tile(const AttentionCall& c, int64_t h, Range rows,
                  const ForwardBuffers<Operand<T>>& w, const ForwardOutputs& to) {
  using E = Operand<T>;
  const int64_t count = rows.size(), depth = operand_length<E>(c.depth);
  w.query.template load<T>(c.q, c.sequence.query_rows, h, rows, c.depth);
  if (c.tables().shaw_keys)
    tile_product<false, float>({count, c.key_relations, c.depth, w.query.plain, c.depth, 1,
                                w.shaw_keys, c.key_relations, w.related, c.key_relations,
                                c.spec->scale});
  const float sink = sink_logit(c, h);
  std::fill(w.out, w.out + count * out_stride(c), 0.0f);
  std::fill(w.maximum, w.maximum + count, sink);
  std::fill(w.sum, w.sum + count, sink == kNothing ? 0.0f : 1.0f);
  for_each_tile(c, h, rows, [&](const ScoreTile& tile) {
    tile_product<false, E>({count, kKeyTile, depth, w.query.left, depth, 1, w.keys + tile.s * depth,
                            kKeyTile, w.scores, kKeyTile, c.spec->scale});
    finish_scores(c, tile, w.related, w.scores);
    absorb_scores(c, count, w);
    absorb_values(c, tile, w);
  });
  store_outputs<T>(c, h, rows, w, to);
}

// Converts the keys and values that any of the queries sees.
template <class T>
void load_keys(const AttentionCall& c, int64_t kv, Range rows,
               const ForwardBuffers<Operand<T>>& w) {
  using E = Operand<T>;
  const Range hull = c.visibility.hull(rows);
  for (int64_t s = hull.begin / kKeyTile * kKeyTile; s < hull.end; s += kKeyTile) {
    const Range keys{s, std::min(s + kKeyTile, c.keys())};
    if (c.visibility.coverage(rows, keys) == Coverage::kNone) continue;
    load_transposed<T>(c.k, c.sequence.key_rows, kv, keys, c.depth,
                       w.keys + s * operand_length<E>(c.depth));
    load_stacked<T>(c.v, c.sequence.key_rows, kv, keys, c.value_depth,
                    w.values + operand_length<E>(s) * c.value_depth);
  }
  if (c.tables().shaw_keys)
    load_table_transposed(c.tables().shaw_keys, c.depth, c.key_relations, w.shaw_keys);
  if (c.tables().shaw_values) load_table(c.tables().shaw_values, c.value_depth, w.shaw_values);
}

// The queries of all sequences that have more than `least`.
template <class T>
void forward_tiled(const AttentionCall& call, int64_t least, const ForwardOutputs& to) {
  const AttentionRows& sequences = call.spec->rows;
  const int64_t most_tiles = (sequences.most_queries() + kQueryTile - 1) / kQueryTile;
  const int64_t heads = sequences.batch() * call.kv_heads;
  const int64_t parts =
      std::clamp<int64_t>((4 * thread_count() + heads - 1) / heads, 1, most_tiles);
  using Buffers = ForwardBuffers<Operand<T>>;
  const Scratch scratch(floats_of<Buffers>(call), thread_count());
  parallel_dynamic(heads * parts, [&](int64_t unit, int thread) {
    AttentionCall c = call;
    c.enter(unit / parts / c.kv_heads);
    if (c.queries() <= least) return;
    const int64_t kv = unit / parts % c.kv_heads;
    const int64_t tiles = (c.queries() + kQueryTile - 1) / kQueryTile;
    const Range mine = part_of(tiles, unit % parts, parts);
    const Range rows{mine.begin * kQueryTile, std::min(mine.end * kQueryTile, c.queries())};
    if (rows.size() <= 0) return;
    const auto w = placed_at<Buffers>(scratch.of_thread(thread), c);
    load_keys<T>(c, kv, rows, w);
    for (int64_t g = 0; g < c.group; ++g)
      for (int64_t t = rows.begin; t < rows.end; t += kQueryTile)
        forward_tile<T>(c, kv * c.group + g, {t, std::min(t + kQueryTile, rows.end)}, w, to);
  });
}

// The way of a sequence follows from its own number of queries, so that its result does not depend
// on the other sequences.
template <class T>
void forward(const AttentionCall& c, const ForwardOutputs& to) {
  constexpr int64_t kFewQueries = 8;
  const int64_t few = c.spec->dropout > 0.0f ? 0 : kFewQueries;
  if (c.spec->rows.most_queries() > few) forward_tiled<T>(c, few, to);
  if (few > 0) forward_in_place<T>(c, few, to);
}

}  // namespace

void attention(const TensorView& q, const TensorView& k, const TensorView& v, const TensorView& out,
               const TensorView& lse, const AttentionSpec& spec) {
  const AttentionCall call(q, k, v, spec);
  if (spec.rows.queries() * call.heads == 0) return;
  switch (q.dtype) {
    case DType::kF32:
      return forward<float>(call, {out, lse});
    case DType::kBF16:
      return forward<BF16>(call, {out, lse});
    default:  // f16 and f64 have no fast path
      return ref::attention(q, k, v, out, lse, spec);
  }
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
