// Attention forward by tiles (Dao et al. 2022, arXiv:2205.14135).
//
// For one tile of 64 queries the keys pass by in tiles of 64: scores = Q·Kᵀ, a running maximum m
// and sum l rescale what was accumulated (Milakov & Gimelshein 2018, arXiv:1805.02867), out +=
// weights·V. Nothing larger than a tile of scores exists. Keys and values of a head are converted
// to f32 once per unit of work (keys transposed, so that both products are row-times-matrix), and
// shared by the query heads of the group.
//
// A unit of work is (batch row, key/value head, part of the queries); units are independent, so
// threads take them as they come and the result does not depend on who took which. Few queries
// (decoding) take another path that reads keys and values in place, since converting them would
// cost more than using them.

#include <algorithm>
#include <cmath>
#include <limits>

#include "lathe/base/parallel.h"
#include "lathe/base/rng.h"
#include "lathe/kernels/activation/math.h"
#include "lathe/kernels/cpu/isa/isa.h"
#include "lathe/kernels/cpu/scratch.h"
#include "lathe/kernels/kernels.h"
#include "lathe/kernels/ref/ref.h"
// level.h last: it opens the target frame.
#include "lathe/kernels/cpu/isa/level.h"

namespace lathe::kernels::LATHE_ISA_NAMESPACE {
#include "lathe/kernels/cpu/isa/simd.h"

#include "lathe/kernels/cpu/isa/attention_tile.h"
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

// Buffers of one thread, in floats.
struct ForwardScratch {
  float *keys, *values, *query, *scores, *factors, *out, *maximum, *sum;

  static int64_t floats(const AttentionCall& c) {
    const int64_t padded_keys = padded(c.keys, kKeyTile);
    return padded_keys * (c.depth + c.value_depth) + kQueryTile * (c.depth + c.value_depth) +
           2 * kQueryTile * kKeyTile + 2 * kQueryTile;
  }
  ForwardScratch(float* base, const AttentionCall& c) {
    const int64_t padded_keys = padded(c.keys, kKeyTile);
    auto take = [&base](int64_t n) {
      float* p = base;
      base += n;
      return p;
    };
    keys = take(padded_keys * c.depth);
    values = take(padded_keys * c.value_depth);
    query = take(kQueryTile * c.depth);
    out = take(kQueryTile * c.value_depth);
    scores = take(kQueryTile * kKeyTile);
    factors = take(kQueryTile * kKeyTile);
    maximum = take(kQueryTile);
    sum = take(kQueryTile);
  }
};

// One tile of the online softmax: scores become weights exp(score - m); out and sum are rescaled to
// the new m.
void absorb_scores(const AttentionCall& c, int64_t rows, const ForwardScratch& w) {
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
      const float p = row[j] == kNothing ? 0.0f : kernels::math::exp(row[j] - top);
      row[j] = p;
      total += p;
    }
    if (top != w.maximum[r]) {
      const float shrink = w.maximum[r] == kNothing ? 0.0f : kernels::math::exp(w.maximum[r] - top);
      float* out = w.out + r * c.value_depth;
#pragma omp simd
      for (int64_t d = 0; d < c.value_depth; ++d) out[d] *= shrink;
      w.sum[r] *= shrink;
      w.maximum[r] = top;
    }
    w.sum[r] += total;
  }
}

template <class T>
void forward_tile(const AttentionCall& c, int64_t b, int64_t h, Range rows, const ForwardScratch& w,
                  const TensorView& out, const TensorView& lse) {
  const int64_t count = rows.size();
  load_rows<T>(c.q, b, h, rows, c.spec->scale, c.depth, w.query);
  std::fill(w.out, w.out + count * c.value_depth, 0.0f);
  std::fill(w.maximum, w.maximum + count, kNothing);
  std::fill(w.sum, w.sum + count, 0.0f);
  const Range seen = c.visible_keys(rows.begin, count);
  for (int64_t s = seen.begin / kKeyTile * kKeyTile; s < seen.end; s += kKeyTile) {
    const ScoreTile tile{b, h, rows.begin, count, s, std::min(kKeyTile, c.keys - s)};
    tile_product<false>({count, kKeyTile, c.depth, w.query, c.depth, 1, w.keys + s * c.depth,
                         kKeyTile, w.scores, kKeyTile});
    cap_and_mask(c, tile, w.scores);
    absorb_scores(c, count, w);
    if (c.spec->dropout > 0.0f) {
      dropout_factors(c, tile, w.factors);
#pragma omp simd
      for (int64_t i = 0; i < count * kKeyTile; ++i) w.scores[i] *= w.factors[i];
    }
    tile_product<true>({count, c.value_depth, tile.columns, w.scores, kKeyTile, 1,
                        w.values + s * c.value_depth, c.value_depth, w.out, c.value_depth});
  }
  for (int64_t r = 0; r < count; ++r) {
    const float inverse = w.sum[r] > 0.0f ? 1.0f / w.sum[r] : 0.0f;
    float* row = w.out + r * c.value_depth;
#pragma omp simd
    for (int64_t d = 0; d < c.value_depth; ++d) row[d] *= inverse;
    if (lse)
      lse.as<float>()[(b * c.heads + h) * c.queries + rows.begin + r] =
          w.sum[r] > 0.0f ? w.maximum[r] + std::log(w.sum[r]) : kNothing;
  }
  store_rows<T>(w.out, c.value_depth, out, b, h, rows);
}

template <class T>
void forward_tiled(const AttentionCall& c, const TensorView& out, const TensorView& lse) {
  const int64_t tiles = (c.queries + kQueryTile - 1) / kQueryTile;
  const int64_t heads = c.batch * c.kv_heads;
  const int64_t parts = std::clamp<int64_t>((4 * thread_count() + heads - 1) / heads, 1, tiles);
  const Scratch scratch(ForwardScratch::floats(c), thread_count());
  parallel_dynamic(heads * parts, [&](int64_t unit, int thread) {
    const int64_t b = unit / parts / c.kv_heads, kv = unit / parts % c.kv_heads;
    const Range mine = part_of(tiles, unit % parts, parts);
    const Range rows{mine.begin * kQueryTile, std::min(mine.end * kQueryTile, c.queries)};
    const ForwardScratch w(scratch.of_thread(thread), c);
    const Range seen = c.visible_keys(rows.begin, rows.size());
    for (int64_t s = seen.begin / kKeyTile * kKeyTile; s < seen.end; s += kKeyTile) {
      const Range keys{s, std::min(s + kKeyTile, c.keys)};
      load_transposed<T>(c.k, b, kv, keys, c.depth, w.keys + s * c.depth);
      load_rows<T>(c.v, b, kv, keys, 1.0f, c.value_depth, w.values + s * c.value_depth);
    }
    for (int64_t g = 0; g < c.group; ++g)
      for (int64_t t = rows.begin; t < rows.end; t += kQueryTile)
        forward_tile<T>(c, b, kv * c.group + g, {t, std::min(t + kQueryTile, rows.end)}, w, out,
                        lse);
  });
}

// One query against keys read in place: the decoding path. scores has room for all keys.
template <class T>
void forward_single(const AttentionCall& c, int64_t b, int64_t h, int64_t t, float* scores,
                    const TensorView& out, const TensorView& lse) {
  const int64_t kv = h / c.group;
  const T* q = row_of<T>(c.q, b, t, h);
  const Range seen = c.visible_keys(t, 1);
  const AttentionSpec& spec = *c.spec;
  float top = kNothing;
  for (int64_t s = seen.begin; s < seen.end; ++s) {
    const T* k = row_of<T>(c.k, b, s, kv);
    float dot = 0.0f;
#pragma omp simd reduction(+ : dot)
    for (int64_t d = 0; d < c.width; ++d) dot += widen(q[d]) * widen(k[d]);
    dot *= spec.scale;
    if (spec.softcap > 0.0f) dot = spec.softcap * std::tanh(dot / spec.softcap);
    if (spec.query_segments &&
        spec.query_segments.as<int32_t>()[b * spec.query_segments.stride[0] + t] !=
            spec.key_segments.as<int32_t>()[b * spec.key_segments.stride[0] + s])
      dot = kNothing;
    scores[s] = dot;
    top = std::max(top, dot);
  }
  float sum = 0.0f;
  if (top != kNothing) {
#pragma omp simd reduction(+ : sum)
    for (int64_t s = seen.begin; s < seen.end; ++s) {
      const float p = scores[s] == kNothing ? 0.0f : kernels::math::exp(scores[s] - top);
      scores[s] = p;
      sum += p;
    }
  }
  float* accumulated = scores + padded(c.keys, kWidth);
  std::fill(accumulated, accumulated + c.value_width, 0.0f);
  const float inverse = sum > 0.0f ? 1.0f / sum : 0.0f;
  for (int64_t s = seen.begin; s < seen.end && sum > 0.0f; ++s) {
    const T* v = row_of<T>(c.v, b, s, kv);
    const float p = scores[s] * inverse;
#pragma omp simd
    for (int64_t d = 0; d < c.value_width; ++d) accumulated[d] += p * widen(v[d]);
  }
  T* o = mutable_row_of<T>(out, b, t, h);
#pragma omp simd
  for (int64_t d = 0; d < c.value_width; ++d) o[d] = narrow_to<T>(accumulated[d]);
  if (lse)
    lse.as<float>()[(b * c.heads + h) * c.queries + t] =
        sum > 0.0f ? top + std::log(sum) : kNothing;
}

template <class T>
void forward(const AttentionCall& c, const TensorView& out, const TensorView& lse) {
  constexpr int64_t kFewQueries = 8;
  if (c.queries > kFewQueries || c.spec->dropout > 0.0f) return forward_tiled<T>(c, out, lse);
  const Scratch scratch(padded(c.keys, kWidth) + c.value_depth, thread_count());
  const int64_t rows = c.batch * c.heads * c.queries;
  const int64_t work = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, c.keys * c.width));
  parallel_ranges(rows, work, [&](Range r, int thread) {
    for (int64_t i = r.begin; i < r.end; ++i)
      forward_single<T>(c, i / (c.heads * c.queries), i / c.queries % c.heads, i % c.queries,
                        scratch.of_thread(thread), out, lse);
  });
}

void attention(const TensorView& q, const TensorView& k, const TensorView& v, const TensorView& out,
               const TensorView& lse, const AttentionSpec& spec) {
  const AttentionCall call(q, k, v, spec);
  if (call.batch * call.queries * call.heads == 0) return;
  switch (q.dtype) {
    case DType::kF32:
      return forward<float>(call, out, lse);
    case DType::kBF16:
      return forward<BF16>(call, out, lse);
    default:  // f16 and f64 have no fast path
      return ref::attention(q, k, v, out, lse, spec);
  }
}

}  // namespace

void fill_attention(Kernels& table) { table.attention = attention; }

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
