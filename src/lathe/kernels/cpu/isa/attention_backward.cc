// Attention backward by tiles (Dao et al. 2022, arXiv:2205.14135, algorithm 4).
//
// With P = exp(scores - lse) made again from the saved lse, and delta = rowsum(dout · out):
//   dV += Pᵀ·dO      dP = dO·Vᵀ      dS = P · (dP - delta)      dQ += dS·K      dK += dSᵀ·Q
// A unit of work is one (batch row, key/value head): it owns dK and dV of that head and dQ of the
// query heads that share it, so nothing is added across threads and the order of every sum is
// fixed.

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

struct BackwardCall : AttentionCall {
  TensorView out, lse, dout;
  Kernels::AttentionGradients gradients;
};

// Buffers of one thread: the whole head's keys and values (as stored, and transposed by tile),
// their gradients, and one tile of everything else.
struct BackwardScratch {
  float *keys, *keys_t, *values_t, *dkeys, *dvalues;
  float *query, *dquery, *dout, *delta, *lse, *weights, *dscores, *factors;

  template <class Take>
  BackwardScratch(const AttentionCall& c, Take&& take) {
    const int64_t all = padded(c.keys, kKeyTile), tile = kQueryTile * kKeyTile;
    keys = take(all * c.depth);
    keys_t = take(all * c.depth);
    values_t = take(all * c.value_depth);
    dkeys = take(all * c.depth);
    dvalues = take(all * c.value_depth);
    query = take(kQueryTile * c.depth);
    dquery = take(kQueryTile * c.depth);
    dout = take(kQueryTile * c.value_depth);
    delta = take(kQueryTile);
    lse = take(kQueryTile);
    weights = take(tile);
    dscores = take(tile);
    factors = take(tile);
  }
  static int64_t floats(const AttentionCall& c) {
    int64_t total = 0;
    BackwardScratch(c, [&total](int64_t n) {
      total += n;
      return static_cast<float*>(nullptr);
    });
    return total;
  }
  static BackwardScratch at(float* base, const AttentionCall& c) {
    return BackwardScratch(c, [&base](int64_t n) {
      float* p = base;
      base += n;
      return p;
    });
  }
};

// weights: scores on entry, dropped-out weights on return; dscores: dO·Vᵀ on entry, gradient of the unscaled
// scores on return. Rows whose queries see nothing have lse = -inf and every score hidden.
void weights_and_dscores(const AttentionCall& c, const ScoreTile& tile, const BackwardScratch& w) {
  const AttentionSpec& spec = *c.spec;
  const bool drops = spec.dropout > 0.0f;
  if (drops) {
    dropout_factors(c, tile, w.factors);
#pragma omp simd
    for (int64_t i = 0; i < tile.rows * kKeyTile; ++i) w.dscores[i] *= w.factors[i];
  }
  const float inverse_cap = spec.softcap > 0.0f ? 1.0f / spec.softcap : 0.0f, scale = spec.scale;
  for (int64_t r = 0; r < tile.rows; ++r) {
    float* p = w.weights + r * kKeyTile;
    float* ds = w.dscores + r * kKeyTile;
    const float lse = w.lse[r] == kNothing ? 0.0f : w.lse[r], delta = w.delta[r];
#pragma omp simd
    for (int64_t j = 0; j < kKeyTile; ++j) {
      const float score = p[j] == kNothing ? 0.0f : p[j];
      const float weight = p[j] == kNothing ? 0.0f : kernels::math::exp(score - lse);
      const float ratio = score * inverse_cap;
      ds[j] = weight * (ds[j] - delta) * (1.0f - ratio * ratio) * scale;
      p[j] = weight;
    }
  }
  if (drops) {
#pragma omp simd
    for (int64_t i = 0; i < tile.rows * kKeyTile; ++i) w.weights[i] *= w.factors[i];
  }
}

template <class T>
void backward_tile(const BackwardCall& c, int64_t b, int64_t h, Range rows,
                   const BackwardScratch& w) {
  const int64_t count = rows.size(), dv = c.value_depth;
  load_rows<T>(c.q, b, h, rows, 1.0f, c.depth, w.query);
  load_rows<T>(c.dout, b, h, rows, 1.0f, dv, w.dout);
  for (int64_t r = 0; r < count; ++r) {
    const T* out = row_of<T>(c.out, b, rows.begin + r, h);
    float delta = 0.0f;
#pragma omp simd reduction(+ : delta)
    for (int64_t d = 0; d < c.value_width; ++d) delta += widen(out[d]) * w.dout[r * dv + d];
    w.delta[r] = delta;
    w.lse[r] = c.lse.as<float>()[(b * c.heads + h) * c.queries + rows.begin + r];
  }
  std::fill(w.dquery, w.dquery + count * c.depth, 0.0f);
  const Range seen = c.visible_keys(rows.begin, count);
  for (int64_t s = seen.begin / kKeyTile * kKeyTile; s < seen.end; s += kKeyTile) {
    const ScoreTile tile{b, h, rows.begin, count, s, std::min(kKeyTile, c.keys - s)};
    tile_product<false>({count, kKeyTile, c.depth, w.query, c.depth, 1, w.keys_t + s * c.depth,
                         kKeyTile, w.weights, kKeyTile});
#pragma omp simd
    for (int64_t i = 0; i < count * kKeyTile; ++i) w.weights[i] *= c.spec->scale;
    cap_and_mask(c, tile, w.weights);
    tile_product<false>(
        {count, kKeyTile, dv, w.dout, dv, 1, w.values_t + s * dv, kKeyTile, w.dscores, kKeyTile});
    weights_and_dscores(c, tile, w);
    tile_product<true>(
        {tile.columns, dv, count, w.weights, 1, kKeyTile, w.dout, dv, w.dvalues + s * dv, dv});
    tile_product<true>({tile.columns, c.depth, count, w.dscores, 1, kKeyTile, w.query, c.depth,
                        w.dkeys + s * c.depth, c.depth});
    tile_product<true>({count, c.depth, tile.columns, w.dscores, kKeyTile, 1, w.keys + s * c.depth,
                        c.depth, w.dquery, c.depth});
  }
  store_rows<T>(w.dquery, c.depth, c.gradients.dq, b, h, rows);
}

template <class T>
void backward(const BackwardCall& c) {
  const Scratch scratch(BackwardScratch::floats(c), thread_count());
  parallel_dynamic(c.batch * c.kv_heads, [&](int64_t unit, int thread) {
    const int64_t b = unit / c.kv_heads, kv = unit % c.kv_heads;
    const BackwardScratch w = BackwardScratch::at(scratch.of_thread(thread), c);
    const int64_t all = padded(c.keys, kKeyTile);
    std::fill(w.dkeys, w.dkeys + all * c.depth, 0.0f);
    std::fill(w.dvalues, w.dvalues + all * c.value_depth, 0.0f);
    for (int64_t s = 0; s < c.keys; s += kKeyTile) {
      const Range keys{s, std::min(s + kKeyTile, c.keys)};
      load_rows<T>(c.k, b, kv, keys, 1.0f, c.depth, w.keys + s * c.depth);
      load_transposed<T>(c.k, b, kv, keys, c.depth, w.keys_t + s * c.depth);
      load_transposed<T>(c.v, b, kv, keys, c.value_depth, w.values_t + s * c.value_depth);
    }
    for (int64_t g = 0; g < c.group; ++g)
      for (int64_t t = 0; t < c.queries; t += kQueryTile)
        backward_tile<T>(c, b, kv * c.group + g, {t, std::min(t + kQueryTile, c.queries)}, w);
    store_rows<T>(w.dkeys, c.depth, c.gradients.dk, b, kv, {0, c.keys});
    store_rows<T>(w.dvalues, c.value_depth, c.gradients.dv, b, kv, {0, c.keys});
  });
}

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

}  // namespace

void fill_attention_backward(Kernels& table) { table.attention_backward = attention_backward; }

}  // namespace lathe::kernels::LATHE_ISA_NAMESPACE

#include "lathe/kernels/cpu/isa/level_end.h"
