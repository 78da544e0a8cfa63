// What the forward and the backward of attention share: the geometry of a call, the walk over the
// tiles that are not hidden, and the conversion of rows to padded f32 tiles. Include inside the
// level.h frame.
#pragma once

#include "lathe/kernels/cpu/isa/simd.h"

constexpr int64_t kQueryTile = 64;
constexpr int64_t kKeyTile = 64;
constexpr float kNothing = -std::numeric_limits<float>::infinity();

// Geometry of one call, and the few pointers that every tile needs.
struct AttentionCall {
  TensorView q, k, v;
  const AttentionSpec* spec;
  int64_t batch, queries, keys, heads, kv_heads, group, width, value_width;
  int64_t depth, value_depth;  // widths padded to whole vectors
  // Rows of Shaw's tables, padded likewise; 0 when absent.
  int64_t key_relations, value_relations;
  Visibility visibility;

  AttentionCall(const TensorView& q_, const TensorView& k_, const TensorView& v_,
                const AttentionSpec& s)
      : q(q_),
        k(k_),
        v(v_),
        spec(&s),
        batch(q.shape[0]),
        queries(q.shape[1]),
        keys(k.shape[1]),
        heads(q.shape[2]),
        kv_heads(k.shape[2]),
        group(heads / kv_heads),
        width(q.shape[3]),
        value_width(v.shape[3]),
        depth(padded(width, kWidth)),
        value_depth(padded(value_width, kWidth)),
        key_relations(s.shaw_keys ? padded(s.shaw_keys.shape[0], kWidth) : 0),
        value_relations(s.shaw_values ? padded(s.shaw_values.shape[0], kWidth) : 0),
        visibility(s, queries, keys) {}
  int64_t position(int64_t t) const { return visibility.position(t); }
};

// A rectangle of scores: queries [t, t + rows) against keys [s, s + columns) of one batch row and
// head, not all hidden.
struct ScoreTile {
  int64_t b, h, t, rows, s, columns;
  Coverage coverage;
};

// f(ScoreTile) for the tiles of up to kKeyTile keys that `rows` (at most kQueryTile) see some of.
template <class F>
static void for_each_tile(const AttentionCall& c, int64_t b, int64_t h, Range rows, F&& f) {
  const Range hull = c.visibility.hull(b, rows);
  for (int64_t s = hull.begin / kKeyTile * kKeyTile; s < hull.end; s += kKeyTile) {
    const Range keys{s, std::min(s + kKeyTile, c.keys)};
    const Coverage coverage = c.visibility.coverage(b, rows, keys);
    if (coverage != Coverage::kNone)
      f(ScoreTile{b, h, rows.begin, rows.size(), s, keys.size(), coverage});
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

template <class T>
LATHE_INLINE const T* row_of(const TensorView& x, int64_t b, int64_t t, int64_t h) {
  return x.as<T>() + b * x.stride[0] + t * x.stride[1] + h * x.stride[2];
}
template <class T>
LATHE_INLINE T* mutable_row_of(const TensorView& x, int64_t b, int64_t t, int64_t h) {
  return x.as<T>() + b * x.stride[0] + t * x.stride[1] + h * x.stride[2];
}

LATHE_INLINE float widen(float x) { return x; }
LATHE_INLINE float widen(BF16 x) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16);
}
template <class T>
LATHE_INLINE T narrow_to(float x) {
  if constexpr (std::is_same_v<T, BF16>) {
    return to_bf16(x);
  } else {
    return x;
  }
}

// rows [t, t + count) of head h as f32, times `factor`: out[count][depth], the padding zero.
template <class T>
static void load_rows(const TensorView& x, int64_t b, int64_t h, Range rows, float factor,
                      int64_t depth, float* out) {
  const int64_t width = x.shape[3];
  for (int64_t t = rows.begin; t < rows.end; ++t, out += depth) {
    const T* row = row_of<T>(x, b, t, h);
#pragma omp simd
    for (int64_t d = 0; d < width; ++d) out[d] = widen(row[d]) * factor;
    for (int64_t d = width; d < depth; ++d) out[d] = 0.0f;
  }
}

// The same transposed into one key tile: out[depth][kKeyTile], absent keys zero.
template <class T>
static void load_transposed(const TensorView& x, int64_t b, int64_t h, Range rows, int64_t depth,
                            float* out) {
  const int64_t width = x.shape[3];
  std::fill(out, out + depth * kKeyTile, 0.0f);
  for (int64_t t = rows.begin; t < rows.end; ++t) {
    const T* row = row_of<T>(x, b, t, h);
    float* column = out + (t - rows.begin);
    for (int64_t d = 0; d < width; ++d) column[d * kKeyTile] = widen(row[d]);
  }
}

template <class T>
static void store_rows(const float* x, int64_t depth, const TensorView& out, int64_t b, int64_t h,
                       Range rows) {
  const int64_t width = out.shape[3];
  for (int64_t t = rows.begin; t < rows.end; ++t, x += depth) {
    T* row = mutable_row_of<T>(out, b, t, h);
#pragma omp simd
    for (int64_t d = 0; d < width; ++d) row[d] = narrow_to<T>(x[d]);
  }
}

// A table of Shaw's, f32 [2w+1, width]: as rows, out[2w+1][depth], and transposed,
// out[depth][columns], the padding zero.
static void load_table(const TensorView& table, int64_t depth, float* out) {
  for (int64_t i = 0; i < table.shape[0]; ++i, out += depth) {
    const float* row = table.as<float>() + i * table.stride[0];
    std::copy(row, row + table.shape[1], out);
    std::fill(out + table.shape[1], out + depth, 0.0f);
  }
}
static void load_table_transposed(const TensorView& table, int64_t depth, int64_t columns,
                                  float* out) {
  std::fill(out, out + depth * columns, 0.0f);
  for (int64_t i = 0; i < table.shape[0]; ++i)
    for (int64_t d = 0; d < table.shape[1]; ++d)
      out[d * columns + i] = table.as<float>()[i * table.stride[0] + d];
}
