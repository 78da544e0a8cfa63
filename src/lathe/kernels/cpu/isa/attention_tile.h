// What the forward and the backward of attention share: conversion of rows to padded f32 tiles,
// scores with soft cap and mask, and dropout of weights. Include inside the level.h frame, after
// simd.h.
#pragma once

constexpr int64_t kQueryTile = 64;
constexpr int64_t kKeyTile = 64;

constexpr int64_t padded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

// Geometry of one call, and the few pointers that every tile needs.
struct AttentionCall {
  TensorView q, k, v;
  const AttentionSpec* spec;
  int64_t batch, queries, keys, heads, kv_heads, group, width, value_width;
  int64_t depth, value_depth;  // widths padded to whole vectors

  AttentionCall(const TensorView& q_, const TensorView& k_, const TensorView& v_,
                const AttentionSpec& s)
      : q(q_), k(k_), v(v_), spec(&s) {
    batch = q.shape[0];
    queries = q.shape[1];
    heads = q.shape[2];
    width = q.shape[3];
    keys = k.shape[1];
    kv_heads = k.shape[2];
    value_width = v.shape[3];
    group = heads / kv_heads;
    depth = padded(width, kWidth);
    value_depth = padded(value_width, kWidth);
  }
  int64_t position(int64_t t) const { return keys - queries + t; }

  // Keys [begin, end) that any query of rows [t, t + count) may see, segments aside.
  Range visible_keys(int64_t t, int64_t count) const {
    const int64_t end =
        spec->causal ? std::clamp<int64_t>(position(t + count - 1) + 1, 0, keys) : keys;
    const int64_t begin =
        spec->window > 0 ? std::clamp<int64_t>(position(t) - spec->window + 1, 0, end) : 0;
    return {begin, end};
  }
};

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

// A rectangle of scores: queries [t, t + rows) against keys [s, s + columns) of one batch row and
// head.
struct ScoreTile {
  int64_t b, h, t, rows, s, columns;
};

// Soft cap, then -inf where the mask hides a key, on scores[rows][kKeyTile].
static void cap_and_mask(const AttentionCall& c, const ScoreTile& tile, float* scores) {
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  const AttentionSpec& spec = *c.spec;
  if (spec.softcap > 0.0f) {
    const float inverse = 1.0f / spec.softcap;
#pragma omp simd
    for (int64_t i = 0; i < tile.rows * kKeyTile; ++i)
      scores[i] = spec.softcap * kernels::math::tanh(scores[i] * inverse);
  }
  const bool tail = tile.columns < kKeyTile;
  const bool crosses = spec.causal && tile.s + tile.columns - 1 > c.position(tile.t);
  const bool leaves = spec.window > 0 && c.position(tile.t + tile.rows - 1) - tile.s >= spec.window;
  if (!tail && !crosses && !leaves && !spec.query_segments) return;
  for (int64_t r = 0; r < tile.rows; ++r) {
    float* row = scores + r * kKeyTile;
    const int64_t p = c.position(tile.t + r);
    const int64_t end = std::clamp<int64_t>(
        spec.causal ? std::min(tile.columns, p + 1 - tile.s) : tile.columns, 0, kKeyTile);
    const int64_t begin =
        spec.window > 0 ? std::clamp<int64_t>(p - spec.window + 1 - tile.s, 0, end) : 0;
    for (int64_t j = 0; j < begin; ++j) row[j] = kHidden;
    for (int64_t j = end; j < kKeyTile; ++j) row[j] = kHidden;
    if (spec.query_segments) {
      const int32_t mine =
          spec.query_segments.as<int32_t>()[tile.b * spec.query_segments.stride[0] + tile.t + r];
      const int32_t* theirs =
          spec.key_segments.as<int32_t>() + tile.b * spec.key_segments.stride[0] + tile.s;
      for (int64_t j = begin; j < end; ++j) row[j] = theirs[j] == mine ? row[j] : kHidden;
    }
  }
}

// 1/(1-p) for kept weights, 0 for dropped ones, as factors[rows][kKeyTile]; drawn by absolute
// position, so that the backward and a recomputation see the same.
static void dropout_factors(const AttentionCall& c, const ScoreTile& tile, float* factors) {
  const Rng rng = Rng::from_key(c.spec->dropout_key);
  const float keep = 1.0f / (1.0f - c.spec->dropout);
  for (int64_t r = 0; r < tile.rows; ++r) {
    const auto row = static_cast<uint64_t>(
        ((tile.b * c.heads + tile.h) * c.queries + tile.t + r) * c.keys + tile.s);
    for (int64_t j = 0; j < kKeyTile; ++j)
      factors[r * kKeyTile + j] =
          rng.uniform(row + static_cast<uint64_t>(j)) >= c.spec->dropout ? keep : 0.0f;
  }
}
