// Attention backward by tiles (Dao et al. 2022, arXiv:2205.14135, algorithm 4).
//
//   dP = dO·Vᵀ      dS = P · (dP - delta)      dV += Pᵀ·dO      dQ += dS·K      dK += dSᵀ·Q
// P is exp(scores - lse), made again from the saved lse. For one tile of queries a first sweep over
// the keys computes P and dP and their row sums; a second one uses them. So P is normalised by its
// own sum and delta is sum(P · dP) of these very numbers, instead of rowsum(dout · out) with an
// output that was rounded to bf16: the rows of dS then add up to zero, which keeps gradients that
// cancel (a key bias) at the noise of f32. The price is memory for two rows of tiles, linear in S.
//
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
  TensorView lse, dout;
  Kernels::AttentionGradients gradients;
};

// Buffers of one thread: the whole head's keys and values (as stored, and transposed by tile),
// their gradients, and one tile of everything else.
struct BackwardScratch {
  float *keys, *keys_t, *values_t, *dkeys, *dvalues;
  float *query, *dquery, *dout, *delta, *lse, *sum;
  float *weights, *dscores, *slopes;  // a row of tiles each; slopes only with a soft cap
  float* factors;

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
    sum = take(kQueryTile);
    weights = take(kQueryTile * all);
    dscores = take(kQueryTile * all);
    slopes = take(c.spec->softcap > 0.0f ? kQueryTile * all : 0);
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

// One tile of the two sweeps.
struct KeyTile {
  ScoreTile at;
  float *weights, *dweights, *slopes;
};

KeyTile key_tile(const AttentionCall& c, const BackwardScratch& w, const ScoreTile& at) {
  const int64_t offset = at.s * kQueryTile;
  return {at, w.weights + offset, w.dscores + offset,
          c.spec->softcap > 0.0f ? w.slopes + offset : nullptr};
}

// Scores become weights exp(score - lse); their sums and those of weight · dweight are added to
// each row's.
void weigh(const AttentionCall& c, const KeyTile& tile, const BackwardScratch& w) {
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
    const float* dp = tile.dweights + r * kKeyTile;
    const float lse = w.lse[r] == kNothing ? 0.0f : w.lse[r];
    float sum = 0.0f, dot = 0.0f;
#pragma omp simd reduction(+ : sum, dot)
    for (int64_t j = 0; j < kKeyTile; ++j) {
      const float weight = p[j] == kNothing ? 0.0f : kernels::math::exp(p[j] - lse);
      p[j] = weight;
      sum += weight;
      dot += weight * dp[j];
    }
    w.sum[r] += sum;
    w.delta[r] += dot;
  }
}

// Weights are normalised and dropped out; dweights become the gradient of the unscaled scores.
void differentiate(const AttentionCall& c, const KeyTile& tile, const BackwardScratch& w) {
  for (int64_t r = 0; r < tile.at.rows; ++r) {
    float* p = tile.weights + r * kKeyTile;
    float* ds = tile.dweights + r * kKeyTile;
    const float inverse = w.sum[r], delta = w.delta[r], scale = c.spec->scale;
#pragma omp simd
    for (int64_t j = 0; j < kKeyTile; ++j) {
      p[j] *= inverse;
      ds[j] = p[j] * (ds[j] - delta) * scale;
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

void first_sweep(const BackwardCall& c, const KeyTile& tile, const BackwardScratch& w) {
  const int64_t s = tile.at.s, rows = tile.at.rows, dv = c.value_depth;
  tile_product<false>({rows, kKeyTile, c.depth, w.query, c.depth, 1, w.keys_t + s * c.depth,
                       kKeyTile, tile.weights, kKeyTile});
#pragma omp simd
  for (int64_t i = 0; i < rows * kKeyTile; ++i) tile.weights[i] *= c.spec->scale;
  cap_and_mask(c, tile.at, tile.weights);
  tile_product<false>(
      {rows, kKeyTile, dv, w.dout, dv, 1, w.values_t + s * dv, kKeyTile, tile.dweights, kKeyTile});
  weigh(c, tile, w);
}

void second_sweep(const BackwardCall& c, const KeyTile& tile, const BackwardScratch& w) {
  const int64_t s = tile.at.s, rows = tile.at.rows, columns = tile.at.columns, dv = c.value_depth;
  differentiate(c, tile, w);
  tile_product<true>(
      {columns, dv, rows, tile.weights, 1, kKeyTile, w.dout, dv, w.dvalues + s * dv, dv});
  tile_product<true>({columns, c.depth, rows, tile.dweights, 1, kKeyTile, w.query, c.depth,
                      w.dkeys + s * c.depth, c.depth});
  tile_product<true>({rows, c.depth, columns, tile.dweights, kKeyTile, 1, w.keys + s * c.depth,
                      c.depth, w.dquery, c.depth});
}

template <class T>
void backward_tile(const BackwardCall& c, int64_t b, int64_t h, Range rows,
                   const BackwardScratch& w) {
  const int64_t count = rows.size();
  load_rows<T>(c.q, b, h, rows, 1.0f, c.depth, w.query);
  load_rows<T>(c.dout, b, h, rows, 1.0f, c.value_depth, w.dout);
  const float* lse = c.lse.as<float>() + (b * c.heads + h) * c.queries + rows.begin;
  std::copy(lse, lse + count, w.lse);
  std::fill(w.sum, w.sum + count, 0.0f);
  std::fill(w.delta, w.delta + count, 0.0f);
  std::fill(w.dquery, w.dquery + count * c.depth, 0.0f);
  const Range seen = c.visible_keys(rows.begin, count);
  auto sweep = [&](auto&& f) {
    for (int64_t s = seen.begin / kKeyTile * kKeyTile; s < seen.end; s += kKeyTile)
      f(c, key_tile(c, w, {b, h, rows.begin, count, s, std::min(kKeyTile, c.keys - s)}), w);
  };
  sweep(first_sweep);
  for (int64_t r = 0; r < count; ++r) {
    w.sum[r] = w.sum[r] > 0.0f ? 1.0f / w.sum[r] : 0.0f;  // from here on the factor that normalises
    w.delta[r] *= w.sum[r];
  }
  sweep(second_sweep);
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
  const BackwardCall call{AttentionCall(q, k, v, spec), lse, dout, gradients};
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
