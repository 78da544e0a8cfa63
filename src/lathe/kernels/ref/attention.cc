// One query at a time: all scores of the row, softmax over the visible ones, weighted sum of the
// values. The backward recomputes the probabilities the same way and ignores `out` and `lse`.
#include <cmath>
#include <limits>
#include <vector>

#include "lathe/base/rng.h"
#include "lathe/kernels/attention/visibility.h"
#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {
namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

struct Query {
  int64_t h, t;
};

// The operands of one sequence of a call, and what the two passes ask of them.
struct Call {
  Array q, sink_query, k, v;
  const AttentionSpec& spec;
  AttentionSequence sequence;
  int64_t T, H, D, S, group, Dv;
  int64_t pairs_before;
  Visibility visibility;
  AttentionTables<Array> tables;
  Array key_scales, value_scales;

  Call(const TensorView& q_view, const TensorView& k_view, const TensorView& v_view,
       const AttentionSpec& s, int64_t b)
      : q(q_view),
        sink_query(s.sink_query),
        k(k_view),
        v(v_view),
        spec(s),
        sequence(s.rows.sequence(b)),
        T(sequence.queries),
        H(q.size(1)),
        D(q.size(2)),
        S(sequence.keys),
        group(H / k.size(1)),
        Dv(v.size(2)),
        pairs_before(s.rows.pairs_before(b)),
        visibility(s, sequence),
        tables(s.tables.map([](const TensorView& view) { return Array(view); })),
        key_scales(s.key_scales),
        value_scales(s.value_scales) {}

  int64_t query_row(int64_t t) const { return sequence.query_rows(t); }
  int64_t key_row(int64_t s) const { return sequence.key_rows(s); }

  bool is_sink(int64_t s) const { return sink_query && s < spec.sink_tokens; }

  // The entry of the distance table, and of a Shaw table, for this query and key s.
  int64_t distance(const Query& i, int64_t s) const {
    const int64_t p = visibility.position(i.t);
    const int64_t at = s - (is_sink(s) ? spec.position_for_sinks(p) : p) + spec.distance_offset;
    return std::clamp<int64_t>(at, 0, tables.distance_bias.size(1) - 1);
  }
  int64_t relative(const Array& table, const Query& i, int64_t s) const {
    const int64_t w = table.size(0) / 2;
    return std::clamp(s - visibility.position(i.t), -w, w) + w;
  }

  // What the integers of key s are multiplied with.
  double factor(const Array& scales, const Query& i, int64_t s) const {
    return scales ? scales(key_row(s), i.h / group) : 1.0;
  }
  // k_s and v_s of the query's head with what Shaw's tables add to them.
  double key(const Query& i, int64_t s, int64_t d) const {
    const double own = k(key_row(s), i.h / group, d) * factor(key_scales, i, s);
    const Array& shaw = tables.shaw_keys;
    return shaw ? own + shaw(relative(shaw, i, s), d) : own;
  }
  double value(const Query& i, int64_t s, int64_t d) const {
    const double own = v(key_row(s), i.h / group, d) * factor(value_scales, i, s);
    const Array& shaw = tables.shaw_values;
    return shaw ? own + shaw(relative(shaw, i, s), d) : own;
  }

  double score(const Query& i, int64_t s) const {  // before the soft cap
    const Array& query = is_sink(s) ? sink_query : q;
    double sum = 0;
    for (int64_t d = 0; d < D; ++d) sum += query(query_row(i.t), i.h, d) * key(i, s, d);
    sum *= spec.scale;
    if (tables.distance_bias) sum += tables.distance_bias(i.h, distance(i, s));
    if (tables.key_bias) sum += tables.key_bias(i.h, s);
    return sum;
  }

  // What dropout multiplies weight s with: 0 or 1 / (1 - p).
  double keep(const Query& i, int64_t s) const {
    if (!(spec.dropout > 0)) return 1.0;
    const int64_t index = H * pairs_before + (i.h * T + i.t) * S + s;
    const float u = Rng::from_key(spec.dropout_key).uniform(static_cast<uint64_t>(index));
    return u >= spec.dropout ? 1.0 / (1.0 - spec.dropout) : 0.0;
  }

  template <class F>
  void for_each_query(F&& f) const {
    for (int64_t h = 0; h < H; ++h)
      for (int64_t t = 0; t < T; ++t) f(Query{h, t});
  }
};

struct Softmax {
  std::vector<double> weights;  // [S], before dropout; 0 where hidden
  std::vector<double> slopes;   // [S], d score / d (score before the cap)
  double sink = 0;              // the weight of the sink logit
  double lse = kHidden;         // -inf when there is neither a visible key nor a sink
};

Softmax softmax_of(const Call& c, const Query& i) {
  const auto S = static_cast<size_t>(c.S);
  Softmax p{std::vector<double>(S, kHidden), std::vector<double>(S, 1.0)};
  const double sink = c.tables.sink_logits ? c.tables.sink_logits(i.h) : kHidden;
  double max = sink;
  for (int64_t s = 0; s < c.S; ++s) {
    if (!c.visibility.visible(i.t, s)) continue;
    const auto at = static_cast<size_t>(s);
    double score = c.score(i, s);
    if (c.spec.softcap > 0) {
      const double tanh = std::tanh(score / c.spec.softcap);
      score = c.spec.softcap * tanh;
      p.slopes[at] = 1.0 - tanh * tanh;
    }
    p.weights[at] = score;
    max = std::max(max, score);
  }
  const auto weigh = [max](double score) { return score == kHidden ? 0.0 : std::exp(score - max); };
  double sum = p.sink = weigh(sink);
  for (double& w : p.weights) sum += w = weigh(w);
  if (sum == 0) return p;
  for (double& w : p.weights) w /= sum;
  p.sink /= sum;
  p.lse = max + std::log(sum);
  return p;
}

// Sums in double that are rounded once at the end, shaped like `view`; nothing when it is absent.
class Sums {
 public:
  explicit Sums(const TensorView& view)
      : view_(view), values_(view ? static_cast<size_t>(view.numel()) : 0, 0.0) {}
  template <class... Index>
  void add(double value, Index... index) {
    if (!view_) return;
    int64_t at = 0;
    int dim = 0;
    ((at = at * view_.shape[dim++] + index), ...);
    values_[static_cast<size_t>(at)] += value;
  }
  void write() const { write({0, static_cast<int64_t>(values_.size())}); }
  void write_row(int64_t row) const {  // of the first dimension
    if (!view_) return;
    const int64_t width = view_.numel() / view_.shape[0];
    write({row * width, (row + 1) * width});
  }

 private:
  void write(Range elements) const {
    for (int64_t i = elements.begin; i < elements.end; ++i)
      store(view_, offset_of(view_, i), values_[static_cast<size_t>(i)]);
  }

  TensorView view_;
  std::vector<double> values_;
};

struct GradientSums {
  Sums q, k, v;
  AttentionTables<Sums> tables;
  explicit GradientSums(const Kernels::AttentionGradients& g)
      : q(g.dq),
        k(g.dk),
        v(g.dv),
        tables(g.tables.map([](const TensorView& view) { return Sums(view); })) {}
  void write(const AttentionRows& rows) const {
    q.write();
    for (int64_t b = 0; b < rows.batch(); ++b) {
      const AttentionSequence sequence = rows.sequence(b);
      for (int64_t s = 0; s < sequence.keys; ++s)
        for (const Sums* sums : {&k, &v}) sums->write_row(sequence.key_rows(s));
    }
    tables.for_each([](const Sums& s) { s.write(); });
  }
};

// Adds the gradient of one score before the cap to everything that it was made of.
void add_score_gradient(const Call& c, const Query& i, int64_t s, double dscore,
                        GradientSums& sums) {
  const int64_t kv = i.h / c.group;
  for (int64_t d = 0; d < c.D; ++d) {
    const double dkey = dscore * c.spec.scale * c.q(c.query_row(i.t), i.h, d);
    sums.q.add(dscore * c.spec.scale * c.key(i, s, d), c.query_row(i.t), i.h, d);
    sums.k.add(dkey, c.key_row(s), kv, d);
    if (c.tables.shaw_keys)
      sums.tables.shaw_keys.add(dkey, c.relative(c.tables.shaw_keys, i, s), d);
  }
  if (c.tables.distance_bias) sums.tables.distance_bias.add(dscore, i.h, c.distance(i, s));
}

void add_query_gradients(const Call& c, const Query& i, const Array& dout, GradientSums& sums) {
  const Softmax p = softmax_of(c, i);
  std::vector<double> dweights(p.weights.size());
  double mean = 0;  // of dweights under the weights: what the softmax's normalisation takes back
  for (int64_t s = 0; s < c.S; ++s) {
    const auto at = static_cast<size_t>(s);
    if (p.weights[at] == 0) continue;  // hidden; nothing depends on it
    const double kept = c.keep(i, s);
    double dot = 0;
    for (int64_t d = 0; d < c.Dv; ++d) {
      const double dvalue = p.weights[at] * kept * dout(c.query_row(i.t), i.h, d);
      dot += dout(c.query_row(i.t), i.h, d) * c.value(i, s, d);
      sums.v.add(dvalue, c.key_row(s), i.h / c.group, d);
      if (c.tables.shaw_values)
        sums.tables.shaw_values.add(dvalue, c.relative(c.tables.shaw_values, i, s), d);
    }
    dweights[at] = dot * kept;
    mean += p.weights[at] * dweights[at];
  }
  for (int64_t s = 0; s < c.S; ++s) {
    const auto at = static_cast<size_t>(s);
    if (p.weights[at] == 0) continue;
    add_score_gradient(c, i, s, p.weights[at] * (dweights[at] - mean) * p.slopes[at], sums);
  }
  sums.tables.sink_logits.add(-p.sink * mean, i.h);
}

}  // namespace

void attention(const TensorView& q, const TensorView& k, const TensorView& v,
               const TensorView& out_view, const TensorView& lse_view, const AttentionSpec& spec) {
  const Array out(out_view), lse(lse_view);
  for (int64_t b = 0; b < spec.rows.batch(); ++b) {
    const Call c(q, k, v, spec, b);
    c.for_each_query([&](const Query& i) {
      const Softmax p = softmax_of(c, i);
      const int64_t row = c.query_row(i.t);
      for (int64_t d = 0; d < c.Dv; ++d) {
        double sum = 0;
        for (int64_t s = 0; s < c.S; ++s)
          sum += p.weights[static_cast<size_t>(s)] * c.keep(i, s) * c.value(i, s, d);
        out.set(sum, row, i.h, d);
      }
      if (lse) lse.set(p.lse, i.h, row);
    });
  }
}

void attention_backward(const TensorView& q, const TensorView& k, const TensorView& v,
                        const TensorView&, const TensorView&, const TensorView& dout_view,
                        const AttentionSpec& spec, const Kernels::AttentionGradients& gradients) {
  const Array dout(dout_view);
  GradientSums sums(gradients);
  for (int64_t b = 0; b < spec.rows.batch(); ++b) {
    const Call c(q, k, v, spec, b);
    c.for_each_query([&](const Query& i) { add_query_gradients(c, i, dout, sums); });
  }
  sums.write(spec.rows);
}

}  // namespace lathe::kernels::ref
