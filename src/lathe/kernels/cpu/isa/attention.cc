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
// A unit of work is (sequence, key/value head, part of the queries or of the group's heads); units
// are independent, so threads take them as they come and the result does not depend on who took
// which. Tiles of keys begin at multiples of kKeyTile of the sequence, and what a query does not see
// adds nothing: a query has the same bits alone and among others, and wherever a text was cut for a
// cache (tests/kernels/row_invariance_test.cc). Few queries (decoding): those of all heads of the
// group are the rows of one tile, and each tile of keys is converted when its turn comes.
//
// Of int8 keys and values the integers are multiplied, which bf16 holds exactly; a key's scale
// multiplies its column of scores, a value's its column of weights.

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
#include "lathe/kernels/cpu/isa/attention_scores.h"

namespace {

struct ForwardOutputs {
  TensorView out, lse;
};

// Behind each row of `out` lies the row's sum of weights per relation, when Shaw's values are
// added, so that one rescaling serves both.
int64_t out_stride(const AttentionCall& c) { return c.value_depth + c.value_relations; }

// Buffers of one thread for operands of type E. Keys, values and tables are converted once per unit
// of work, the rest is for one tile.
template <class E>
struct ForwardBuffers {
  QueryRows<E> query, sink_query;
  E *keys, *values, *weights;
  float *shaw_keys, *shaw_values;
  float *related, *scores, *sink_scores, *factors, *out, *maximum, *sum;
  float *widened, *key_scales, *value_scales;  // only of keys in a smaller type than the queries'

  template <class Take>
  ForwardBuffers(const AttentionCall& c, Take&& take)
      : query(c.depth, {.plain = bool(c.tables().shaw_keys)}, take),
        sink_query(c.spec->sink_query ? c.depth : 0, {}, take) {
    const int64_t tile = kQueryTile * kKeyTile;
    const int64_t kept = c.spec->rows.most_queries() * c.group > kQueryTile
                             ? padded(c.most_keys, kKeyTile)
                             : kKeyTile;
    keys = take_operand<E>(take, kept * c.depth);
    values = take_operand<E>(take, kept * c.value_depth);
    weights = take_operand<E>(take, std::is_same_v<E, float> ? 0 : tile);
    shaw_keys = take(c.key_relations * c.depth);
    shaw_values = take(c.value_relations * c.value_depth);
    related = take(kQueryTile * c.key_relations);
    scores = take(tile);
    sink_scores = take(c.spec->sink_query ? tile : 0);
    factors = take(c.spec->dropout > 0.0f ? tile : 0);
    out = take(kQueryTile * out_stride(c));
    maximum = take(kQueryTile);
    sum = take(kQueryTile);
    const int64_t widest = std::max(c.width, c.value_width);
    widened = take(c.k.dtype == c.q.dtype ? 0 : kKeyTile * widest);
    key_scales = take(c.spec->key_scales ? kept : 0);
    value_scales = take(c.spec->value_scales ? kept : 0);
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

// The queries `rows` of the heads `heads`, which share keys and values: at most a tile. Row i of a
// tile is of query i % rows.size() of head i / rows.size().
struct Queries {
  Range heads, rows;
  int64_t count() const { return heads.size() * rows.size(); }
};

// f(h, the first row of its queries) for each head.
template <class F>
void for_each_head(const Queries& queries, F&& f) {
  for (int64_t h = queries.heads.begin, row = 0; h < queries.heads.end;
       ++h, row += queries.rows.size())
    f(h, row);
}

// A converted tile of keys and values; the scales only where the call has some.
template <class E>
struct KeyTile {
  E *keys, *values;
  float *key_scales, *value_scales;
};

// Column j of a tile of scores times scales[j].
void scale_columns(float* scores, int64_t rows, const float* scales) {
  for (int64_t r = 0; r < rows; ++r, scores += kKeyTile)
#pragma omp simd
    for (int64_t j = 0; j < kKeyTile; ++j) scores[j] *= scales[j];
}

// out += weights · values of one tile of keys.
template <class E>
void absorb_values(const AttentionCall& c, const Queries& queries, ScoreTile tile,
                   const KeyTile<E>& converted, const ForwardBuffers<E>& w) {
  const int64_t stride = out_stride(c), count = queries.count();
  if (c.spec->dropout > 0.0f) {
    for_each_head(queries, [&](int64_t h, int64_t row) {
      tile.h = h;
      dropout_factors(c, tile, w.factors + row * kKeyTile);
    });
#pragma omp simd
    for (int64_t i = 0; i < count * kKeyTile; ++i) w.scores[i] *= w.factors[i];
  }
  if (c.tables().shaw_values)
    for_each_head(queries, [&](int64_t, int64_t row) {
      collect_relations(c, tile, c.tables().shaw_values, w.scores + row * kKeyTile,
                        {w.out + row * stride + c.value_depth, stride});
    });
  if (c.spec->value_scales) scale_columns(w.scores, count, converted.value_scales);
  const TileOperand<E> p = along_keys(w.scores, count, w.weights);
  tile_product<true, E>({count, c.value_depth, operand_length<E>(tile.columns), p.data, p.row,
                         p.col, converted.values, c.value_depth, w.out, stride});
}

template <class T>
void store_outputs(const AttentionCall& c, const Queries& queries,
                   const ForwardBuffers<Operand<T>>& w, const ForwardOutputs& to) {
  const int64_t count = queries.count(), stride = out_stride(c);
  if (c.tables().shaw_values)
    tile_product<true, float>({count, c.value_depth, c.tables().shaw_values.shape[0],
                               w.out + c.value_depth, stride, 1, w.shaw_values, c.value_depth,
                               w.out, stride});
  for (int64_t r = 0; r < count; ++r) {
    const float inverse = w.sum[r] > 0.0f ? 1.0f / w.sum[r] : 0.0f;
    float* row = w.out + r * stride;
#pragma omp simd
    for (int64_t d = 0; d < c.value_depth; ++d) row[d] *= inverse;
  }
  for_each_head(queries, [&](int64_t h, int64_t row) {
    store_rows<T>(w.out + row * stride, stride, to.out, c.sequence.query_rows, h, queries.rows);
    for (int64_t r = row; to.lse && r < row + queries.rows.size(); ++r)
      to.lse.as<float>()[c.in_lse(h, queries.rows.begin + r - row)] =
          w.sum[r] > 0.0f ? w.maximum[r] + std::log(w.sum[r]) : kNothing;
  });
}

// Loads the queries and what they begin with: nothing, or the sink of their head.
template <class T>
void begin_queries(const AttentionCall& c, const Queries& queries,
                   const ForwardBuffers<Operand<T>>& w) {
  const int64_t count = queries.count(), each = queries.rows.size();
  w.query.template load<T>(c.q, c.sequence.query_rows, queries.heads, queries.rows, c.depth);
  if (c.spec->sink_query)
    w.sink_query.template load<T>(c.spec->sink_query, c.sequence.query_rows, queries.heads,
                                  queries.rows, c.depth);
  if (c.tables().shaw_keys)
    tile_product<false, float>({count, c.key_relations, c.depth, w.query.plain, c.depth, 1,
                                w.shaw_keys, c.key_relations, w.related, c.key_relations,
                                c.spec->scale});
  std::fill(w.out, w.out + count * out_stride(c), 0.0f);
  for_each_head(queries, [&](int64_t h, int64_t row) {
    const float sink = sink_logit(c, h);
    std::fill_n(w.maximum + row, each, sink);
    std::fill_n(w.sum + row, each, sink == kNothing ? 0.0f : 1.0f);
  });
}

// scores = Q·Kᵀ of one tile of keys, in which sink tokens may meet queries of their own.
template <class E>
void multiply_keys(const AttentionCall& c, const Queries& queries, const ScoreTile& tile,
                   const E* keys, const ForwardBuffers<E>& w) {
  const int64_t count = queries.count(), depth = operand_length<E>(c.depth);
  tile_product<false, E>({count, kKeyTile, depth, w.query.left, depth, 1, keys, kKeyTile, w.scores,
                          kKeyTile, c.spec->scale});
  const int64_t sinks = sink_columns(c, tile);
  if (sinks == 0) return;
  tile_product<false, E>({count, kKeyTile, depth, w.sink_query.left, depth, 1, keys, kKeyTile,
                          w.sink_scores, kKeyTile, c.spec->scale});
  for (int64_t r = 0; r < count; ++r)
    std::copy_n(w.sink_scores + r * kKeyTile, sinks, w.scores + r * kKeyTile);
}

// key_tile(tile): its converted keys and values.
template <class T, class F>
void forward_queries(const AttentionCall& c, const Queries& queries,
                     const ForwardBuffers<Operand<T>>& w, const ForwardOutputs& to, F&& key_tile) {
  using E = Operand<T>;
  begin_queries<T>(c, queries, w);
  for_each_tile(c, queries.heads.begin, queries.rows, [&](ScoreTile tile) {
    const KeyTile<E> converted = key_tile(tile);
    multiply_keys<E>(c, queries, tile, converted.keys, w);
    if (c.spec->key_scales) scale_columns(w.scores, queries.count(), converted.key_scales);
    for_each_head(queries, [&](int64_t h, int64_t row) {
      tile.h = h;
      finish_scores(c, tile, w.related + row * c.key_relations, w.scores + row * kKeyTile);
    });
    absorb_scores(c, queries.count(), w);
    absorb_values(c, queries, tile, converted, w);
  });
  store_outputs<T>(c, queries, w, to);
}

// The place in the buffers of the tile that begins `s` keys behind the first that is kept.
template <class E>
KeyTile<E> tile_at(const AttentionCall& c, const ForwardBuffers<E>& w, int64_t s) {
  return {w.keys + s * operand_length<E>(c.depth), w.values + operand_length<E>(s) * c.value_depth,
          w.key_scales + s, w.value_scales + s};
}

template <class T, class E>
void convert_tile(const AttentionCall& c, int64_t kv, Range keys, float* widened,
                  const KeyTile<E>& to) {
  const auto rows_of = [&](const TensorView& x) {
    return RowsOfHead{x, c.sequence.key_rows, kv, keys};
  };
  const RowsOfHead k = rows_as<T>(rows_of(c.k), widened);
  load_transposed<T>(k.x, k.at, k.head, k.rows, c.depth, to.keys);
  const RowsOfHead v = rows_as<T>(rows_of(c.v), widened);
  load_stacked<T>(v.x, v.at, v.head, v.rows, c.value_depth, to.values);
  if (c.spec->key_scales) load_scales(rows_of(c.spec->key_scales), to.key_scales);
  if (c.spec->value_scales) load_scales(rows_of(c.spec->value_scales), to.value_scales);
}

template <class E>
void convert_tables(const AttentionCall& c, const ForwardBuffers<E>& w) {
  if (c.tables().shaw_keys)
    load_table_transposed(c.tables().shaw_keys, c.depth, c.key_relations, w.shaw_keys);
  if (c.tables().shaw_values) load_table(c.tables().shaw_values, c.value_depth, w.shaw_values);
}

// Many queries: the keys and values that any of them sees are converted once for all.
template <class T>
void forward_many(const AttentionCall& c, int64_t kv, const Queries& queries,
                  const ForwardBuffers<Operand<T>>& w, const ForwardOutputs& to) {
  for_each_tile(c, queries.heads.begin, queries.rows, [&](const ScoreTile& tile) {
    convert_tile<T>(c, kv, {tile.s, tile.s + tile.columns}, w.widened, tile_at(c, w, tile.s));
  });
  for (int64_t h = queries.heads.begin; h < queries.heads.end; ++h)
    for (int64_t t = queries.rows.begin; t < queries.rows.end; t += kQueryTile) {
      const Range rows{t, std::min(t + kQueryTile, queries.rows.end)};
      forward_queries<T>(c, {{h, h + 1}, rows}, w, to,
                         [&](const ScoreTile& tile) { return tile_at(c, w, tile.s); });
    }
}

template <class T>
void forward_few(const AttentionCall& c, int64_t kv, const Queries& queries,
                 const ForwardBuffers<Operand<T>>& w, const ForwardOutputs& to) {
  forward_queries<T>(c, queries, w, to, [&](const ScoreTile& tile) {
    const Range keys{tile.s, tile.s + tile.columns};
    const KeyTile<Operand<T>> place = tile_at(c, w, 0);
    prefetch_rows({c.v, c.sequence.key_rows, kv, keys});
    convert_tile<T>(c, kv, keys, w.widened, place);
    return place;
  });
}

// How the work on one key/value head of one sequence is cut: by tiles of queries, and where there
// would be fewer units than threads by the heads of the group.
struct Parts {
  int64_t queries, heads;
  explicit Parts(const AttentionCall& c) {
    const int64_t most_tiles = (c.spec->rows.most_queries() + kQueryTile - 1) / kQueryTile;
    const int64_t whole = c.batch() * c.kv_heads, threads = thread_count();
    queries = std::clamp<int64_t>((4 * threads + whole - 1) / whole, 1, most_tiles);
    heads = std::clamp<int64_t>(threads / (whole * queries), 1, c.group);
  }
  int64_t count() const { return queries * heads; }
};

template <class T>
void forward(const AttentionCall& call, const ForwardOutputs& to) {
  const Parts parts(call);
  using Buffers = ForwardBuffers<Operand<T>>;
  const Scratch scratch(floats_of<Buffers>(call), thread_count());
  parallel_dynamic(call.batch() * call.kv_heads * parts.count(), [&](int64_t unit, int thread) {
    const MatrixTiles in_use;
    AttentionCall c = call;
    const int64_t whole = unit / parts.count(), part = unit % parts.count();
    c.enter(whole / c.kv_heads);
    const int64_t kv = whole % c.kv_heads, tiles = (c.queries() + kQueryTile - 1) / kQueryTile;
    const Range mine = part_of(tiles, part % parts.queries, parts.queries);
    const Range heads = part_of(c.group, part / parts.queries, parts.heads);
    const Queries queries{{kv * c.group + heads.begin, kv * c.group + heads.end},
                          {mine.begin * kQueryTile, std::min(mine.end * kQueryTile, c.queries())}};
    if (queries.rows.size() <= 0 || heads.size() <= 0) return;
    const auto w = placed_at<Buffers>(scratch.of_thread(thread), c);
    convert_tables(c, w);
    if (queries.count() <= kQueryTile)
      forward_few<T>(c, kv, queries, w, to);
    else
      forward_many<T>(c, kv, queries, w, to);
  });
}

}  // namespace

void attention(const TensorView& q, const TensorView& k, const TensorView& v, const TensorView& out,
               const TensorView& lse, const AttentionSpec& spec) {
  const AttentionCall call(q, k, v, spec);
  const bool known = k.dtype == v.dtype && (k.dtype == q.dtype || k.dtype == DType::kI8 ||
                                            (q.dtype == DType::kF32 && k.dtype == DType::kBF16));
  if (!known) return ref::attention(q, k, v, out, lse, spec);
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
