// One query at a time: all scores of the row, softmax over the visible ones, weighted sum of the
// values. The backward recomputes the probabilities the same way and ignores `out` and `lse`.
#include <cmath>
#include <limits>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {
namespace {

struct Query {
  int64_t b, h, t;
};

struct Sizes {
  int64_t B, T, H, D, S, K;
};

Sizes sizes_of(const TensorView& q, const TensorView& k) {
  return {q.shape[0], q.shape[1], q.shape[2], q.shape[3], k.shape[1], k.shape[2]};
}

bool visible(const AttentionSpec& spec, const Sizes& z, const Query& i, int64_t s) {
  const int64_t position = z.S - z.T + i.t;
  if (spec.causal && s > position) return false;
  if (spec.window > 0 && position - s >= spec.window) return false;
  if (!spec.query_segments) return true;
  return Array(spec.query_segments)(i.b, i.t) == Array(spec.key_segments)(i.b, s);
}

// What dropout multiplies weight s of this query with: 0 or 1 / (1 - p).
double keep(const AttentionSpec& spec, const Sizes& z, const Query& i, int64_t s) {
  if (!(spec.dropout > 0)) return 1.0;
  const int64_t index = ((i.b * z.H + i.h) * z.T + i.t) * z.S + s;
  const float u = Rng::from_key(spec.dropout_key).uniform(static_cast<uint64_t>(index));
  return u >= spec.dropout ? 1.0 / (1.0 - spec.dropout) : 0.0;
}

struct Softmax {
  std::vector<double> weights;  // [S], before dropout; 0 where hidden
  std::vector<double> slopes;   // [S], d score / d (scale · q·k): 1, or what the soft cap leaves
  double lse;                   // -inf when no key is visible
};

Softmax softmax_of(const Array& q, const Array& k, const AttentionSpec& spec, const Sizes& z,
                   const Query& i) {
  const auto S = static_cast<size_t>(z.S);
  Softmax p{std::vector<double>(S), std::vector<double>(S, 1.0), 0.0};
  const double hidden = -std::numeric_limits<double>::infinity();
  double max = hidden, sum = 0;
  bool any = false;
  for (int64_t s = 0; s < z.S; ++s) {
    const auto at = static_cast<size_t>(s);
    p.weights[at] = hidden;
    if (!visible(spec, z, i, s)) continue;
    double score = 0;
    for (int64_t d = 0; d < z.D; ++d)
      score += q(i.b, i.t, i.h, d) * k(i.b, s, i.h / (z.H / z.K), d);
    score *= spec.scale;
    if (spec.softcap > 0) {
      const double tanh = std::tanh(score / spec.softcap);
      score = spec.softcap * tanh;
      p.slopes[at] = 1.0 - tanh * tanh;
    }
    p.weights[at] = score;
    any = true;
    max = std::max(max, score);
  }
  for (double& w : p.weights) sum += w = w == hidden ? 0.0 : std::exp(w - max);
  for (double& w : p.weights) w = any ? w / sum : 0.0;
  p.lse = any ? max + std::log(sum) : hidden;
  return p;
}

template <class F>
void for_each_query(const Sizes& z, F&& f) {
  for (int64_t b = 0; b < z.B; ++b)
    for (int64_t h = 0; h < z.H; ++h)
      for (int64_t t = 0; t < z.T; ++t) f(Query{b, h, t});
}

// Sums in double that are rounded once at the end, shaped like `view` [B,L,H,D].
class Sums {
 public:
  explicit Sums(const TensorView& view)
      : view_(view), values_(static_cast<size_t>(view.numel()), 0.0) {}
  double& operator()(int64_t b, int64_t l, int64_t h, int64_t d) {
    const int64_t* n = view_.shape;
    return values_[static_cast<size_t>(((b * n[1] + l) * n[2] + h) * n[3] + d)];
  }
  void write() const {
    for (int64_t i = 0; i < view_.numel(); ++i)
      store(view_, offset_of(view_, i), values_[static_cast<size_t>(i)]);
  }

 private:
  TensorView view_;
  std::vector<double> values_;
};

}  // namespace

void attention(const TensorView& q_view, const TensorView& k_view, const TensorView& v_view,
               const TensorView& out_view, const TensorView& lse_view, const AttentionSpec& spec) {
  const Array q(q_view), k(k_view), v(v_view), out(out_view), lse(lse_view);
  const Sizes z = sizes_of(q_view, k_view);
  for_each_query(z, [&](const Query& i) {
    const Softmax p = softmax_of(q, k, spec, z, i);
    for (int64_t d = 0; d < z.D; ++d) {
      double sum = 0;
      for (int64_t s = 0; s < z.S; ++s)
        sum += p.weights[static_cast<size_t>(s)] * keep(spec, z, i, s) *
               v(i.b, s, i.h / (z.H / z.K), d);
      out.set(sum, i.b, i.t, i.h, d);
    }
    if (lse) lse.set(p.lse, i.b, i.h, i.t);
  });
}

void attention_backward(const TensorView& q_view, const TensorView& k_view,
                        const TensorView& v_view, const TensorView&, const TensorView&,
                        const TensorView& dout_view, const AttentionSpec& spec,
                        const Kernels::AttentionGradients& gradients) {
  const Array q(q_view), k(k_view), v(v_view), dout(dout_view);
  const Sizes z = sizes_of(q_view, k_view);
  Sums dq(gradients.dq), dk(gradients.dk), dv(gradients.dv);
  std::vector<double> dweights(static_cast<size_t>(z.S));
  for_each_query(z, [&](const Query& i) {
    const Softmax p = softmax_of(q, k, spec, z, i);
    const int64_t kv = i.h / (z.H / z.K);
    double mean = 0;  // of dweights under the weights: what the softmax's normalisation takes back
    for (int64_t s = 0; s < z.S; ++s) {
      const auto at = static_cast<size_t>(s);
      const double kept = keep(spec, z, i, s);
      double dot = 0;
      for (int64_t d = 0; d < z.D; ++d) {
        dot += dout(i.b, i.t, i.h, d) * v(i.b, s, kv, d);
        dv(i.b, s, kv, d) += p.weights[at] * kept * dout(i.b, i.t, i.h, d);
      }
      dweights[at] = dot * kept;
      mean += p.weights[at] * dweights[at];
    }
    for (int64_t s = 0; s < z.S; ++s) {
      const auto at = static_cast<size_t>(s);
      const double dscore = p.weights[at] * (dweights[at] - mean) * p.slopes[at] * spec.scale;
      for (int64_t d = 0; d < z.D; ++d) {
        dq(i.b, i.t, i.h, d) += dscore * k(i.b, s, kv, d);
        dk(i.b, s, kv, d) += dscore * q(i.b, i.t, i.h, d);
      }
    }
  });
  dq.write();
  dk.write();
  dv.write();
}

}  // namespace lathe::kernels::ref
