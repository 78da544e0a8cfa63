// The steps from the product to the softmax on a tile of scores, each a function on
// scores[rows][kKeyTile]: biases are added, the soft cap is applied, hidden scores become -inf. A
// new bias is a line of add_biases(), and of TableSums (attention_tables.h) when it has a gradient.
// Include inside the level.h frame.
//
// Biases that depend only on the distance s - p are in a table with one entry per distance, so a
// row of the tile uses consecutive entries: spread() adds them to a row, collect() is its gradient.
// Far from the diagonal all columns use the same end of the table.
#pragma once

#include "lathe/kernels/cpu/isa/attention_operands.h"

// Column j of a row uses entry clamp(first + j, 0, count - 1).
struct TableRow {
  int64_t first, count;
  // Columns [0, low) use entry 0, those from `high` on the last one, those in between their own.
  int64_t low() const { return std::clamp<int64_t>(-first, 0, kKeyTile); }
  int64_t high() const { return std::clamp<int64_t>(count - first, 0, kKeyTile); }
};

LATHE_INLINE TableRow distance_row(const AttentionCall& c, int64_t t, int64_t s) {
  return {s - c.position(t) + c.spec->distance_offset, c.tables().distance_bias.shape[1]};
}
LATHE_INLINE TableRow relation_row(const AttentionCall& c, const TensorView& table, int64_t t,
                                   int64_t s) {
  return {s - c.position(t) + table.shape[0] / 2, table.shape[0]};
}

// row[j] += entry of column j.
LATHE_INLINE void spread(const float* entries, const TableRow& at, float* row) {
  const float* mine = entries + at.first;
  const int64_t low = at.low(), high = at.high();
  if (low == 0 && high == kKeyTile) {
#pragma omp simd
    for (int64_t j = 0; j < kKeyTile; ++j) row[j] += mine[j];
    return;
  }
  const float first = entries[0], last = entries[at.count - 1];
#pragma omp simd
  for (int64_t j = 0; j < low; ++j) row[j] += first;
#pragma omp simd
  for (int64_t j = low; j < high; ++j) row[j] += mine[j];
#pragma omp simd
  for (int64_t j = std::max(low, high); j < kKeyTile; ++j) row[j] += last;
}

// entry of column j += row[j].
LATHE_INLINE void collect(const float* row, const TableRow& at, float* entries) {
  float* mine = entries + at.first;
  const int64_t low = at.low(), high = at.high();
  if (low == 0 && high == kKeyTile) {
#pragma omp simd
    for (int64_t j = 0; j < kKeyTile; ++j) mine[j] += row[j];
    return;
  }
  float first = 0.0f, last = 0.0f;
#pragma omp simd reduction(+ : first)
  for (int64_t j = 0; j < low; ++j) first += row[j];
#pragma omp simd
  for (int64_t j = low; j < high; ++j) mine[j] += row[j];
#pragma omp simd reduction(+ : last)
  for (int64_t j = std::max(low, high); j < kKeyTile; ++j) last += row[j];
  entries[0] += first;
  entries[at.count - 1] += last;
}

static const float* distance_table(const AttentionCall& c, int64_t h) {
  const TensorView& table = c.tables().distance_bias;
  return table.as<float>() + h * table.stride[0];
}
static const float* key_biases(const AttentionCall& c, int64_t h) {
  const TensorView& bias = c.tables().key_bias;
  return bias.as<float>() + h * bias.stride[0];
}

// Rows that every query of a tile has of its own, with one element per relation of a Shaw table.
struct Relations {
  float* rows;
  int64_t stride;
};

// Adds products of the queries with a table to the scores.
static void add_relations(const AttentionCall& c, const ScoreTile& tile, const TensorView& table,
                          const Relations& products, float* scores) {
  for (int64_t r = 0; r < tile.rows; ++r)
    spread(products.rows + r * products.stride, relation_row(c, table, tile.t + r, tile.s),
           scores + r * kKeyTile);
}
// And its gradient, or the sum of weights per relation.
static void collect_relations(const AttentionCall& c, const ScoreTile& tile,
                              const TensorView& table, const float* scores, const Relations& sums) {
  for (int64_t r = 0; r < tile.rows; ++r)
    collect(scores + r * kKeyTile, relation_row(c, table, tile.t + r, tile.s),
            sums.rows + r * sums.stride);
}

// The columns of a tile that are sink tokens with queries of their own (AttentionSpec::sink_query).
static int64_t sink_columns(const AttentionCall& c, const ScoreTile& tile) {
  if (!c.spec->sink_query) return 0;
  return std::clamp<int64_t>(c.spec->sink_tokens - tile.s, 0, kKeyTile);
}

// The biases by distance of one row; sink tokens with queries of their own are nearer.
static void add_distances(const AttentionCall& c, const ScoreTile& tile, int64_t t,
                          const float* table, float* row) {
  const int64_t p = c.position(t), nearer = c.spec->position_for_sinks(p);
  const int64_t sinks = nearer == p ? 0 : sink_columns(c, tile);
  float without[kKeyTile];
  std::copy_n(row, sinks, without);
  TableRow at = distance_row(c, t, tile.s);
  spread(table, at, row);
  at.first += p - nearer;
  for (int64_t j = 0; j < sinks; ++j)
    row[j] = without[j] + table[std::clamp<int64_t>(at.first + j, 0, at.count - 1)];
}

// `related`: the scaled queries' products with Shaw's keys, if there are any.
static void add_biases(const AttentionCall& c, const ScoreTile& tile, float* related,
                       float* scores) {
  const AttentionTables<TensorView>& tables = c.tables();
  if (tables.distance_bias) {
    const float* table = distance_table(c, tile.h);
    for (int64_t r = 0; r < tile.rows; ++r)
      add_distances(c, tile, tile.t + r, table, scores + r * kKeyTile);
  }
  if (tables.shaw_keys)
    add_relations(c, tile, tables.shaw_keys, {related, c.key_relations}, scores);
  if (tables.key_bias) {
    const float* bias = key_biases(c, tile.h) + tile.s;
    for (int64_t r = 0; r < tile.rows; ++r) {
      float* row = scores + r * kKeyTile;
#pragma omp simd
      for (int64_t j = 0; j < tile.columns; ++j) row[j] += bias[j];
    }
  }
}

static void cap_scores(const AttentionCall& c, const ScoreTile& tile, float* scores) {
  const float cap = c.spec->softcap;
  if (!(cap > 0.0f)) return;
  const float inverse = 1.0f / cap;
#pragma omp simd
  for (int64_t i = 0; i < tile.rows * kKeyTile; ++i)
    scores[i] = cap * kernels::math::tanh(scores[i] * inverse);
}

static void mask_scores(const AttentionCall& c, const ScoreTile& tile, float* scores) {
  if (tile.coverage == Coverage::kAll && tile.columns == kKeyTile) return;
  for (int64_t r = 0; r < tile.rows; ++r) {
    float* row = scores + r * kKeyTile;
    const int64_t t = tile.t + r;
    int64_t at = 0;
    c.visibility.for_each_run(t, {tile.s, tile.s + tile.columns}, [&](Range run) {
      std::fill(row + at, row + (run.begin - tile.s), kNothing);
      at = run.end - tile.s;
    });
    std::fill(row + at, row + kKeyTile, kNothing);
    if (!c.spec->query_segments) continue;
    const int32_t mine = c.visibility.query_segments()[t];
    const int32_t* theirs = c.visibility.key_segments() + tile.s;
#pragma omp simd
    for (int64_t j = 0; j < tile.columns; ++j) row[j] = theirs[j] == mine ? row[j] : kNothing;
  }
}

// Scores of products become scores of the softmax.
static void finish_scores(const AttentionCall& c, const ScoreTile& tile, float* related,
                          float* scores) {
  add_biases(c, tile, related, scores);
  cap_scores(c, tile, scores);
  mask_scores(c, tile, scores);
}

// 1/(1-p) for kept weights, 0 for dropped ones, as factors[rows][kKeyTile]; drawn by absolute
// position, so that the backward and a recomputation see the same.
static void dropout_factors(const AttentionCall& c, const ScoreTile& tile, float* factors) {
  const Rng rng = Rng::from_key(c.spec->dropout_key);
  const float keep = 1.0f / (1.0f - c.spec->dropout);
  for (int64_t r = 0; r < tile.rows; ++r) {
    const uint64_t row =
        c.first_dropout +
        static_cast<uint64_t>((tile.h * c.queries() + tile.t + r) * c.keys() + tile.s);
    for (int64_t j = 0; j < kKeyTile; ++j)
      factors[r * kKeyTile + j] =
          rng.uniform(row + static_cast<uint64_t>(j)) >= c.spec->dropout ? keep : 0.0f;
  }
}

// The start of the softmax of a row: the sink logit of its head, or nothing.
LATHE_INLINE float sink_logit(const AttentionCall& c, int64_t h) {
  return c.tables().sink_logits ? c.tables().sink_logits.as<float>()[h] : kNothing;
}
