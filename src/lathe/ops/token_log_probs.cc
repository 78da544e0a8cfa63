#include "lathe/ops/token_log_probs.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/ops/best_indices.h"
#include "lathe/ops/common.h"
#include "lathe/ops/log_sum_exp.h"

namespace lathe::ops {
namespace {

constexpr std::string_view kOp = "token_log_probs";

// What both passes read.
struct Problem {
  Tensor labels;  // [N]
  OutputHead head;
  double temperature;
};

// The distributions p of the n rows of a chunk.
struct Distributions {
  Tensor logits;  // [n, V], divided by the temperature
  Tensor labels;
  Tensor residuals;         // onehot − p, [n, V], when there is room for it; 0 in ignored rows
  Tensor losses;            // −log p[label]
  std::vector<double> lse;  // of the logits
};

// `room` for the residuals is optional. It may be the logits themselves, which then are gone.
Distributions distributions(const Problem& p, const HeadChunks::Chunk& c, const Tensor& room) {
  const auto& k = kernels_of(c.logits);
  const int64_t rows = c.logits.size(0);
  Distributions d{.logits = c.logits,
                  .labels = c.of(p.labels),
                  .residuals = room.defined() ? room.narrow(0, 0, rows) : Tensor(),
                  .losses = Tensor({rows}, c.logits.dtype(), c.logits.device()),
                  .lse = {}};
  if (p.temperature != 1.0) k.scale(1.0 / p.temperature, d.logits, d.logits);
  LogSumExp sums(d.logits, d.labels);
  k.cross_entropy(d.logits, d.labels, d.losses, d.residuals.view(), -1.0);
  d.lse = sums.from(d.losses);
  return d;
}

template <class T>
std::span<T> row_of(const Tensor& t, int64_t n) {
  const auto width = static_cast<size_t>(t.size(1));
  return t.span<T>().subspan(static_cast<size_t>(n) * width, width);
}

// f(n, label) for the rows of a chunk that are not ignored, in parallel.
template <class F>
void for_labels(const Tensor& labels, F&& f) {
  const auto each = labels.span<int32_t>();
  parallel_for(labels.size(0), 1, [&](int64_t n) {
    if (const int32_t label = each[static_cast<size_t>(n)]; label >= 0) f(n, label);
  });
}

// −Σ p log p. The residual at the label is 1 − p, so that the test for p > 0 leaves the label out;
// what has probability 0 may have the logit −inf.
template <class T>
double entropy_of(std::span<const T> logits, std::span<const T> residuals, double lse,
                  double loss) {
  const double p_label = std::exp(-loss);
  double sum = p_label == 0.0 ? 0.0 : p_label * loss;
  for (size_t v = 0; v < logits.size(); ++v) {
    const double p = -static_cast<double>(residuals[v]);
    sum += p > 0.0 ? p * (lse - logits[v]) : 0.0;
  }
  return sum;
}

template <class T>
void put_entropies(const Distributions& d, const Tensor& entropies) {
  for_labels(d.labels, [&](int64_t n, int32_t) {
    entropies.data<T>()[n] =
        static_cast<T>(entropy_of<T>(row_of<T>(d.logits, n), row_of<T>(d.residuals, n),
                                     d.lse[static_cast<size_t>(n)], d.losses.data<T>()[n]));
  });
}

template <class T>
void put_collisions(const Distributions& d, const Tensor& collisions) {
  for_labels(d.labels, [&](int64_t n, int32_t) {
    double sum = 0;
    for (const T logit : row_of<T>(d.logits, n))
      sum += std::exp(2.0 * (logit - d.lse[static_cast<size_t>(n)]));
    collisions.data<T>()[n] = static_cast<T>(std::log(sum));
  });
}

template <class T>
void put_top(const Distributions& d, const Tensor& ids, const Tensor& log_probs) {
  for_labels(d.labels, [&](int64_t n, int32_t) {
    const auto logits = row_of<T>(d.logits, n), out = row_of<T>(log_probs, n);
    const auto best = row_of<int32_t>(ids, n);
    best_indices(logits.data(), d.logits.size(1), ids.size(1), best.data());
    for (size_t i = 0; i < best.size(); ++i)
      out[i] = static_cast<T>(logits[static_cast<size_t>(best[i])] - d.lse[static_cast<size_t>(n)]);
  });
}

struct Results {
  Tensor log_probs, entropies;  // [N]; entropies only when they are asked for
};

Results run_forward(const Problem& p, const Tensor& hidden, const TokenLogProbsOptions& options) {
  const HeadChunks chunks(hidden, p.head);
  const DType sums = accumulation_type(hidden.dtype());
  const auto zeros = [&](const Shape& s) { return Tensor::zeros(s, sums, hidden.device()); };
  Results r{zeros(p.labels.shape()), options.entropy ? zeros(p.labels.shape()) : Tensor()};
  if (options.collision) *options.collision = zeros(p.labels.shape());
  TopTokens* top = options.top;
  if (top) {
    top->log_probs = zeros({hidden.size(0), top->k});
    top->ids = Tensor(top->log_probs.shape(), DType::kI32, hidden.device());
    std::ranges::fill(top->ids.span<int32_t>(), -1);
  }
  const Tensor room = options.entropy ? chunks.room(sums) : Tensor();
  chunks.for_each([&](const HeadChunks::Chunk& c) {
    const Distributions d = distributions(p, c, room);
    kernels_of(hidden).axpy(-1.0, d.losses, c.of(r.log_probs));
    visit_sums(sums, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if (options.entropy) put_entropies<T>(d, c.of(r.entropies));
      if (options.collision) put_collisions<T>(d, c.of(*options.collision));
      if (top) put_top<T>(d, c.of(top->ids), c.of(top->log_probs));
    });
  });
  return r;
}

// The gradients of log p[label] and of the entropy of every row, over the temperature; h is empty
// when the entropies have none.
struct Upstream {
  std::vector<double> g, h;
};

Upstream upstream_of(Gradients& gradients, const Problem& p, bool with_entropies) {
  const auto of = [&](int output) {
    std::vector<double> each = gradients.of_output(output).to_vector();
    for (double& x : each) x /= p.temperature;
    return each;
  };
  Upstream up;
  up.g = gradients.of_output(0).defined() ? of(0) : std::vector<double>(p.labels.numel(), 0.0);
  if (with_entropies && gradients.of_output(1).defined()) up.h = of(1);
  return up;
}

// What one row's residuals are multiplied by.
struct Weights {
  double g, h;
  double shift;  // entropy − lse: logits + shift = log p + entropy
};

// Residuals become dlogits: −p · (g + h · (log p + H)), where at the label 1 − p takes the place of
// the −p beside g. What has probability 0 may have the logit −inf.
template <class T>
void weigh(std::span<const T> logits, std::span<T> residuals, size_t label, double loss,
           const Weights& w) {
  const double at_label = residuals[label], p_label = std::exp(-loss);
  const auto of_h = [&](size_t v) { return w.h * (static_cast<double>(logits[v]) + w.shift); };
  for (size_t v = 0; v < residuals.size(); ++v) {
    const double residual = residuals[v];
    residuals[v] = residual == 0.0 ? T(0) : static_cast<T>(residual * (w.g + of_h(v)));
  }
  residuals[label] =
      static_cast<T>(w.g * at_label - (p_label == 0.0 ? 0.0 : p_label * of_h(label)));
}

// Turns the residuals of a chunk, whose first row is `first`, into dlogits.
template <class T>
void differentiate(const Distributions& d, const Upstream& up, const Tensor& entropies,
                   int64_t first) {
  for_labels(d.labels, [&](int64_t n, int32_t label) {
    const auto row = static_cast<size_t>(n), at = static_cast<size_t>(first + n);
    const std::span<T> residuals = row_of<T>(d.residuals, n);
    if (up.h.empty()) {
      for (T& residual : residuals) residual *= static_cast<T>(up.g[at]);
      return;
    }
    const double shift = entropies.data<T>()[at] - d.lse[row];
    weigh<T>(row_of<T>(d.logits, n), residuals, static_cast<size_t>(label), d.losses.data<T>()[n],
             {up.g[at], up.h[at], shift});
  });
}

void run_backward(const Problem& p, const Tensor& hidden, const Tensor& entropies,
                  const Upstream& up, const HeadGradients& out) {
  const HeadChunks chunks(hidden, p.head);
  const DType sums = accumulation_type(hidden.dtype());
  const Tensor room = up.h.empty() ? Tensor() : chunks.room(sums);
  chunks.for_each([&](const HeadChunks::Chunk& c) {
    const Distributions d = distributions(p, c, room.defined() ? room : c.logits);
    visit_sums(sums, [&](auto tag) {
      differentiate<typename decltype(tag)::type>(d, up, entropies, c.first);
    });
    chunks.differentiate(c, d.residuals, out);
  });
}

void check(const TokenLogProbsOptions& options, int64_t vocabulary) {
  require(options.temperature > 0.0 && std::isfinite(options.temperature), ErrorKind::kShape, kOp,
          "the temperature is {}, expected a finite number above 0", options.temperature);
  require(options.top == nullptr || (options.top->k >= 1 && options.top->k <= vocabulary),
          ErrorKind::kShape, kOp, "the {} most likely tokens were requested, expected 1 to {}",
          options.top ? options.top->k : 0, vocabulary);
}

}  // namespace

Var token_log_probs(const Var& hidden, const OutputHead& head, const Tensor& labels,
                    const TokenLogProbsOptions& options) {
  const LabelledRows rows = labelled_rows(kOp, hidden, head, labels);
  check(options, head.weight.shape()[0]);
  const Problem problem{rows.labels, head, options.temperature};
  const Results r = run_forward(problem, rows.hidden, options);
  std::vector<Tensor> outputs = {r.log_probs};
  if (options.entropy) outputs.push_back(r.entropies);
  std::vector<Var> vars(outputs.begin(), outputs.end());
  if (Tape* tape = tape_of({&hidden, &head.weight, &head.bias})) {
    auto backward = [hidden = hidden.ref(), saved = save(hidden), problem,
                     entropies = r.entropies](Gradients& g) {
      if (problem.labels.numel() == 0) return;  // nothing would be written to the sinks
      HeadGradients out{.hidden = target_or_none(g, hidden),
                        .weight = target_or_none(g, problem.head.weight),
                        .bias = target_or_none(g, problem.head.bias)};
      if (out.hidden.target.defined()) out.hidden.target = as_rows(out.hidden.target);
      run_backward(problem, as_rows(g.value(saved)), entropies,
                   upstream_of(g, problem, entropies.defined()), out);
    };
    vars = tape->record(kOp, outputs, {&hidden, &head.weight, &head.bias}, std::move(backward), {});
  }
  if (options.entropy) *options.entropy = vars[1];
  return vars[0];
}

}  // namespace lathe::ops
