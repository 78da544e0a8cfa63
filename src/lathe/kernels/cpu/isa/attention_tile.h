// The common part of attention's forward and backward: the geometry of a call, the iteration over
// the tiles that are not hidden, and the placement of buffers. Include inside the level.h frame.
#pragma once

#include "lathe/kernels/cpu/isa/matrix_tiles.h"

constexpr int64_t kQueryTile = 64;
// Widths are padded to whole vectors, and to whole steps along K of matrix tiles.
constexpr int64_t kWidthUnit = kHasMatrixTiles ? 2 * kTile : kWidth;
constexpr float kNothing = -std::numeric_limits<float>::infinity();

// Geometry of one call and of the current sequence, and the few pointers that every tile needs.
struct AttentionCall {
  TensorView q, k, v;
  const AttentionSpec* spec;
  int64_t most_keys, heads, kv_heads, group, width, value_width;
  int64_t depth, value_depth;  // widths padded to kWidthUnit
  // Rows of Shaw's tables, padded to whole vectors; 0 when absent.
  int64_t key_relations, value_relations;
  // Fields of the sequence that enter() has chosen.
  AttentionSequence sequence;
  Visibility visibility;
  uint64_t first_dropout = 0;  // element of the dropout's stream for h = t = s = 0

  AttentionCall(const TensorView& q_, const TensorView& k_, const TensorView& v_,
                const AttentionSpec& s)
      : q(q_),
        k(k_),
        v(v_),
        spec(&s),
        most_keys(s.rows.most_keys()),
        heads(q.shape[1]),
        kv_heads(k.shape[1]),
        group(heads / kv_heads),
        width(q.shape[2]),
        value_width(v.shape[2]),
        depth(padded(width, kWidthUnit)),
        value_depth(padded(value_width, kWidthUnit)),
        key_relations(s.tables.shaw_keys ? padded(s.tables.shaw_keys.shape[0], kWidth) : 0),
        value_relations(s.tables.shaw_values ? padded(s.tables.shaw_values.shape[0], kWidth) : 0),
        visibility(s, sequence) {}

  void enter(int64_t b) {
    sequence = spec->rows.sequence(b);
    visibility = Visibility(*spec, sequence);
    if (spec->dropout > 0.0f)
      first_dropout = static_cast<uint64_t>(heads * spec->rows.pairs_before(b));
  }
  int64_t batch() const { return spec->rows.batch(); }
  int64_t queries() const { return sequence.queries; }
  int64_t keys() const { return sequence.keys; }
  int64_t position(int64_t t) const { return visibility.position(t); }
  // Of query t and head h in lse.
  int64_t in_lse(int64_t h, int64_t t) const {
    return h * spec->rows.queries() + sequence.first_query + t;
  }
  const AttentionTables<TensorView>& tables() const { return spec->tables; }
};

// A rectangle of scores: queries [t, t + rows) against keys [s, s + columns) of the current
// sequence and one head, not all hidden.
struct ScoreTile {
  int64_t h, t, rows, s, columns;
  Coverage coverage;
};

// f(ScoreTile) for the tiles of up to kKeyTile keys of which `rows` (at most kQueryTile) see some.
template <class F>
static void for_each_tile(const AttentionCall& c, int64_t h, Range rows, F&& f) {
  const Range hull = c.visibility.hull(rows);
  for (int64_t s = hull.begin / kKeyTile * kKeyTile; s < hull.end; s += kKeyTile) {
    const Range keys{s, std::min(s + kKeyTile, c.keys())};
    const Coverage coverage = c.visibility.coverage(rows, keys);
    if (coverage != Coverage::kNone)
      f(ScoreTile{h, rows.begin, rows.size(), s, keys.size(), coverage});
  }
}

// The buffers of a thread are a struct whose constructor takes each from `take(floats)`: once to
// count them, once to place them.
template <class Buffers, class Call>
static int64_t floats_of(const Call& c) {
  int64_t total = 0;
  Buffers(c, [&total](int64_t n) {
    total += padded(n, 16);
    return static_cast<float*>(nullptr);
  });
  return total;
}
template <class Buffers, class Call>
static Buffers placed_at(float* base, const Call& c) {
  return Buffers(c, [&base](int64_t n) {
    float* p = base;
    base += padded(n, 16);
    return p;
  });
}
