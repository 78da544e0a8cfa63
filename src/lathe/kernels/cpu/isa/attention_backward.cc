// Attention backward by tiles (Dao et al. 2022, arXiv:2205.14135, algorithm 4).
//
//   dP = dO·Vᵀ      dS = P · (dP - delta)      dV += Pᵀ·dO      dQ += dS·K      dK += dSᵀ·Q
// P is exp(scores - lse), made again from the saved lse. For one tile of queries a first sweep over
// the keys computes P and dP and their row sums; a second one uses them. So P is normalised by its
// own sum and delta is sum(P · dP) of these very numbers, instead of rowsum(dout · out) with an
// output that was rounded to bf16: the rows of dS then add up to zero, which keeps gradients that
// cancel (a key bias) at the noise of f32. For the same end dP is shifted by rowsum(dout · out)
// before anything is summed: what remains of delta is small, and so is its rounding. The price is
// memory for two rows of tiles, linear in S.
//
// Scores are scaled as they are computed; dQ and dK, and the gradient of Shaw's keys, are scaled
// once before they are stored. Where bf16 is multiplied in pairs (tile_product.h), P and dS are
// rounded to bf16 for the products of the second sweep; sums and biases' gradients take the
// unrounded ones. Shaw's tables take part as if each were a short row of keys (values): products
// with the queries (output gradients) of the tile, spread over the scores, and collected again
// (attention_scores.h).
//
// A unit of work is one (sequence, key/value head): it owns dK and dV of that head and dQ of the
// query heads that share it, so nothing is added across threads and the order of every sum is
// fixed.

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
#include "lathe/kernels/cpu/isa/attention_tables.h"

namespace {

struct BackwardCall : AttentionCall {
  TensorView out, lse, dout;
  Kernels::AttentionGradients gradients;
};

// Buffers of one thread for operands of type E: the whole head's keys and values (stacked, and
// transposed by tile), their gradients, Shaw's tables, and one tile of everything else.
template <class E>
struct BackwardBuffers {
  QueryRows<E> query, dout;
  E *keys, *keys_t, *values_t;
  E* operand;  // a tile of weights or dscores for the product that comes next
  float *dkeys, *dvalues;
  float *shaw_keys, *shaw_keys_t, *shaw_values_t;
  float *dquery, *shift, *delta, *lse, *sum;  // delta: less the shift
  float *weights, *dscores, *slopes;          // a row of tiles each; slopes only with a soft cap
  float* factors;
  // Of one tile of queries: products with Shaw's keys and (dout) values, and what the scores'
  // gradients and the weights sum to per relation and per distance.
  float *related, *related_values, *drelated, *weighed, *distances;

  template <class Take>
  BackwardBuffers(const BackwardCall& c, Take&& take)
      : query(c.depth, {.stacked = true, .plain = bool(c.tables().shaw_keys)}, take),
        dout(c.value_depth, {.stacked = true, .plain = bool(c.tables().shaw_values)}, take) {
    const int64_t all = padded(c.most_keys, kKeyTile), tile = kQueryTile * kKeyTile;
    keys = take_operand<E>(take, all * c.depth);
    keys_t = take_operand<E>(take, all * c.depth);
    values_t = take_operand<E>(take, all * c.value_depth);
    operand = take_operand<E>(take, std::is_same_v<E, float> ? 0 : tile);
    dkeys = take(all * c.depth);
    dvalues = take(all * c.value_depth);
    shaw_keys = take(c.key_relations * c.depth);
    shaw_keys_t = take(c.key_relations * c.depth);
    shaw_values_t = take(c.value_relations * c.value_depth);
    dquery = take(kQueryTile * c.depth);
    shift = take(kQueryTile);
    delta = take(kQueryTile);
    lse = take(kQueryTile);
    sum = take(kQueryTile);
    weights = take(kQueryTile * all);
    dscores = take(kQueryTile * all);
    slopes = take(c.spec->softcap > 0.0f ? kQueryTile * all : 0);
    factors = take(c.spec->dropout > 0.0f ? tile : 0);
    related = take(kQueryTile * c.key_relations);
    related_values = take(kQueryTile * c.value_relations);
    drelated = take(kQueryTile * c.key_relations);
    weighed = take(kQueryTile * c.value_relations);
    distances =
        take(c.gradients.tables.distance_bias ? c.gradients.tables.distance_bias.shape[1] : 0);
  }
};

// One tile of the two sweeps.
struct KeyTile {
  ScoreTile at;
  float *weights, *dweights, *slopes;
};

template <class E>
KeyTile key_tile(const AttentionCall& c, const BackwardBuffers<E>& w, const ScoreTile& at) {
  const int64_t offset = at.s * kQueryTile;
  return {at, w.weights + offset, w.dscores + offset,
          c.spec->softcap > 0.0f ? w.slopes + offset : nullptr};
}

// Scores become weights exp(score - lse), dweights are shifted; the sums of weights and of weight ·
// dweight are added to each row's.
template <class E>
void weigh(const AttentionCall& c, const KeyTile& tile, const BackwardBuffers<E>& w) {
  const AttentionSpec& spec = *c.spec;
  const int64_t count = tile.at.rows * kKeyTile;
  if (tile.slopes != nullptr) {
    const float inverse_cap = 1.0f / spec.softcap;
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      const float ratio = tile.weights[i] == kNothing ? 0.0f : tile.weights[i] * inverse_cap;
      tile.slopes[i] = 1.0f - ratio * ratio;
    }
  }
  if (spec.dropout > 0.0f) {
    dropout_factors(c, tile.at, w.factors);
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) tile.dweights[i] *= w.factors[i];
  }
  for (int64_t r = 0; r < tile.at.rows; ++r) {
    float* p = tile.weights + r * kKeyTile;
    float* dp = tile.dweights + r * kKeyTile;
    const float lse = w.lse[r] == kNothing ? 0.0f : w.lse[r], shift = w.shift[r];
    float sum = 0.0f, dot = 0.0f;
#pragma omp simd reduction(+ : sum, dot)
    for (int64_t j = 0; j < kKeyTile; ++j) {
      const float weight = kernels::math::exp_nonpositive(p[j] - lse);
      p[j] = weight;
      dp[j] -= shift;
      sum += weight;
      dot += weight * dp[j];
    }
    w.sum[r] += sum;
    w.delta[r] += dot;
  }
}

// Weights are normalised and dropped out; dweights become the gradient of the scores before the
// cap.
template <class E>
void differentiate(const AttentionCall& c, const KeyTile& tile, const BackwardBuffers<E>& w) {
  for (int64_t r = 0; r < tile.at.rows; ++r) {
    float* p = tile.weights + r * kKeyTile;
    float* ds = tile.dweights + r * kKeyTile;
    const float inverse = w.sum[r], delta = w.delta[r];
#pragma omp simd
    for (int64_t j = 0; j < kKeyTile; ++j) {
      p[j] *= inverse;
      ds[j] = p[j] * (ds[j] - delta);
    }
  }
  const int64_t count = tile.at.rows * kKeyTile;
  if (tile.slopes != nullptr) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) tile.dweights[i] *= tile.slopes[i];
  }
  if (c.spec->dropout > 0.0f) {
    dropout_factors(c, tile.at, w.factors);
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) tile.weights[i] *= w.factors[i];
  }
}

template <class E>
void first_sweep(const BackwardCall& c, const KeyTile& tile, const BackwardBuffers<E>& w) {
  const int64_t s = tile.at.s, rows = tile.at.rows;
  const int64_t depth = operand_length<E>(c.depth), dv = operand_length<E>(c.value_depth);
  tile_product<false, E>({rows, kKeyTile, depth, w.query.left, depth, 1, w.keys_t + s * depth,
                          kKeyTile, tile.weights, kKeyTile, c.spec->scale});
  finish_scores(c, tile.at, w.related, tile.weights);
  tile_product<false, E>({rows, kKeyTile, dv, w.dout.left, dv, 1, w.values_t + s * dv, kKeyTile,
                          tile.dweights, kKeyTile});
  if (c.tables().shaw_values)
    add_relations(c, tile.at, c.tables().shaw_values, {w.related_values, c.value_relations},
                  tile.dweights);
  weigh(c, tile, w);
}

template <class E>
void second_sweep(const BackwardCall& c, const KeyTile& tile, const BackwardBuffers<E>& w) {
  const int64_t s = tile.at.s, rows = tile.at.rows, columns = tile.at.columns, dv = c.value_depth;
  differentiate(c, tile, w);
  TileOperand<E> a = along_queries(tile.weights, rows, w.operand);
  tile_product<true, E>({columns, dv, operand_length<E>(rows), a.data, a.row, a.col, w.dout.stacked,
                         dv, w.dvalues + s * dv, dv});
  a = along_queries(tile.dweights, rows, w.operand);
  tile_product<true, E>({columns, c.depth, operand_length<E>(rows), a.data, a.row, a.col,
                         w.query.stacked, c.depth, w.dkeys + s * c.depth, c.depth});
  a = along_keys(tile.dweights, rows, w.operand);
  tile_product<true, E>({rows, c.depth, operand_length<E>(columns), a.data, a.row, a.col,
                         w.keys + operand_length<E>(s) * c.depth, c.depth, w.dquery, c.depth});
  if (c.tables().shaw_keys)
    collect_relations(c, tile.at, c.tables().shaw_keys, tile.dweights,
                      {w.drelated, c.key_relations});
  if (c.tables().shaw_values)
    collect_relations(c, tile.at, c.tables().shaw_values, tile.weights,
                      {w.weighed, c.value_relations});
  for (int64_t r = 0; r < rows && c.gradients.tables.distance_bias; ++r)
    collect(tile.dweights + r * kKeyTile, distance_row(c, tile.at.t + r, s), w.distances);
}

template <class T>
float dot_product(const T* a, const T* b, int64_t n) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += widen(a[i]) * widen(b[i]);
  return sum;
}

void multiply(float* x, int64_t n, float factor) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

// What the sweeps of a tile of queries start from.
template <class T>
void load_queries(const BackwardCall& c, int64_t h, Range rows,
                  const BackwardBuffers<Operand<T>>& w) {
  const int64_t count = rows.size();
  w.query.template load<T>(c.q, c.sequence.query_rows, h, rows, c.depth);
  w.dout.template load<T>(c.dout, c.sequence.query_rows, h, rows, c.value_depth);
  const float* lse = c.lse.as<float>() + c.in_lse(h, rows.begin);
  std::copy(lse, lse + count, w.lse);
  const float sink = sink_logit(c, h);
  for (int64_t r = 0; r < count; ++r) {
    w.sum[r] = sink == kNothing ? 0.0f : kernels::math::exp_nonpositive(sink - w.lse[r]);
    const int64_t row = c.sequence.query_rows(rows.begin + r);
    w.shift[r] = dot_product(row_of<T>(c.dout, row, h), row_of<T>(c.out, row, h), c.value_width);
    w.delta[r] = -w.sum[r] * w.shift[r];  // the sink's part: its dP is 0
  }
  std::fill(w.dquery, w.dquery + count * c.depth, 0.0f);
  if (c.gradients.tables.distance_bias)
    std::fill(w.distances, w.distances + c.gradients.tables.distance_bias.shape[1], 0.0f);
  if (c.tables().shaw_keys)
    tile_product<false, float>({count, c.key_relations, c.depth, w.query.plain, c.depth, 1,
                                w.shaw_keys_t, c.key_relations, w.related, c.key_relations,
                                c.spec->scale});
  if (c.tables().shaw_values)
    tile_product<false, float>({count, c.value_relations, c.value_depth, w.dout.plain,
                                c.value_depth, 1, w.shaw_values_t, c.value_relations,
                                w.related_values, c.value_relations});
  std::fill(w.drelated, w.drelated + count * c.key_relations, 0.0f);
  std::fill(w.weighed, w.weighed + count * c.value_relations, 0.0f);
}

// Between the sweeps: from here on w.sum holds the factor that normalises, and delta is final.
// The sink has weight but no value, so its logit's gradient is -weight · delta.
template <class E>
void finish_sums(const BackwardCall& c, int64_t h, int64_t rows, const BackwardBuffers<E>& w,
                 const TableSums& sums) {
  const float sink = sink_logit(c, h);
  double dsink = 0;
  for (int64_t r = 0; r < rows; ++r) {
    w.sum[r] = w.sum[r] > 0.0f ? 1.0f / w.sum[r] : 0.0f;
    w.delta[r] *= w.sum[r];
    if (sink != kNothing)
      dsink -=
          kernels::math::exp_nonpositive(sink - w.lse[r]) * w.sum[r] * (w.shift[r] + w.delta[r]);
  }
  if (c.gradients.tables.sink_logits) sums.sinks[h % c.group] += dsink;
}

// After the sweeps: what was collected per relation and per distance goes where it belongs.
template <class E>
void finish_tables(const BackwardCall& c, int64_t h, int64_t rows, const BackwardBuffers<E>& w,
                   const TableSums& sums) {
  if (c.tables().shaw_keys) {
    const int64_t n = c.tables().shaw_keys.shape[0], stride = c.key_relations;
    tile_product<true, float>(
        {rows, c.depth, n, w.drelated, stride, 1, w.shaw_keys, c.depth, w.dquery, c.depth});
    if (c.gradients.tables.shaw_keys)
      tile_product<true, float>({n, c.depth, rows, w.drelated, 1, stride, w.query.plain, c.depth,
                                 sums.shaw_keys, c.depth});
  }
  if (c.gradients.tables.shaw_values)
    tile_product<true, float>({c.tables().shaw_values.shape[0], c.value_depth, rows, w.weighed, 1,
                               c.value_relations, w.dout.plain, c.value_depth, sums.shaw_values,
                               c.value_depth});
  if (c.gradients.tables.distance_bias) {
    const int64_t entries = c.gradients.tables.distance_bias.shape[1];
    double* mine = sums.distances + h % c.group * entries;
#pragma omp simd
    for (int64_t i = 0; i < entries; ++i) mine[i] += static_cast<double>(w.distances[i]);
  }
}

template <class T>
void backward_tile(const BackwardCall& c, int64_t h, Range rows,
                   const BackwardBuffers<Operand<T>>& w, const TableSums& sums) {
  const int64_t count = rows.size();
  load_queries<T>(c, h, rows, w);
  for_each_tile(c, h, rows,
                [&](const ScoreTile& tile) { first_sweep(c, key_tile(c, w, tile), w); });
  finish_sums(c, h, count, w, sums);
  for_each_tile(c, h, rows,
                [&](const ScoreTile& tile) { second_sweep(c, key_tile(c, w, tile), w); });
  finish_tables(c, h, count, w, sums);
  multiply(w.dquery, count * c.depth, c.spec->scale);
  store_rows<T>(w.dquery, c.depth, c.gradients.dq, c.sequence.query_rows, h, rows);
}

template <class T>
void load_keys(const BackwardCall& c, int64_t kv, const BackwardBuffers<Operand<T>>& w) {
  using E = Operand<T>;
  const int64_t all = padded(c.keys(), kKeyTile);
  std::fill(w.dkeys, w.dkeys + all * c.depth, 0.0f);
  std::fill(w.dvalues, w.dvalues + all * c.value_depth, 0.0f);
  for (int64_t s = 0; s < c.keys(); s += kKeyTile) {
    const Range keys{s, std::min(s + kKeyTile, c.keys())};
    load_stacked<T>(c.k, c.sequence.key_rows, kv, keys, c.depth,
                    w.keys + operand_length<E>(s) * c.depth);
    load_transposed<T>(c.k, c.sequence.key_rows, kv, keys, c.depth,
                       w.keys_t + s * operand_length<E>(c.depth));
    load_transposed<T>(c.v, c.sequence.key_rows, kv, keys, c.value_depth,
                       w.values_t + s * operand_length<E>(c.value_depth));
  }
  if (c.tables().shaw_keys) {
    load_table(c.tables().shaw_keys, c.depth, w.shaw_keys);
    load_table_transposed(c.tables().shaw_keys, c.depth, c.key_relations, w.shaw_keys_t);
  }
  if (c.tables().shaw_values)
    load_table_transposed(c.tables().shaw_values, c.value_depth, c.value_relations,
                          w.shaw_values_t);
}

template <class T>
void backward(const BackwardCall& call) {
  const TableGradients tables(call, call.gradients.tables);
  using Buffers = BackwardBuffers<Operand<T>>;
  const Scratch scratch(floats_of<Buffers>(call), thread_count());
  parallel_dynamic(call.batch() * call.kv_heads, [&](int64_t unit, int thread) {
    const MatrixTiles in_use;
    BackwardCall c = call;
    c.enter(unit / c.kv_heads);
    const int64_t kv = unit % c.kv_heads;
    const auto w = placed_at<Buffers>(scratch.of_thread(thread), c);
    const TableSums sums = tables.of_unit(unit);
    load_keys<T>(c, kv, w);
    for (int64_t g = 0; g < c.group; ++g)
      for (int64_t t = 0; t < c.queries(); t += kQueryTile)
        backward_tile<T>(c, kv * c.group + g, {t, std::min(t + kQueryTile, c.queries())}, w, sums);
    multiply(w.dkeys, c.keys() * c.depth, c.spec->scale);
    const RowIndex& at = c.sequence.key_rows;
    store_rows<T>(w.dkeys, c.depth, c.gradients.dk, at, kv, {0, c.keys()});
    store_rows<T>(w.dvalues, c.value_depth, c.gradients.dv, at, kv, {0, c.keys()});
  });
  tables.write();
}

}  // namespace

void attention_backward(const TensorView& q, const TensorView& k, const TensorView& v,
                        const TensorView& out, const TensorView& lse, const TensorView& dout,
                        const AttentionSpec& spec, const Kernels::AttentionGradients& gradients) {
  const BackwardCall call{AttentionCall(q, k, v, spec), out, lse, dout, gradients};
  switch (q.dtype) {
    case DType::kF32:
      return backward<float>(call);
    case DType::kBF16:
      return backward<BF16>(call);
    default:  // f16 and f64 have no fast path
      return ref::attention_backward(q, k, v, out, lse, dout, spec, gradients);
  }
}

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
