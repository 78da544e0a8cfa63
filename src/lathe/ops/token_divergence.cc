#include "lathe/ops/token_divergence.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

constexpr std::string_view kOp = "token_divergence";

struct Problem {
  OutputHead head, teacher_head;
  Tensor teacher_hidden;
  Divergence divergence;
};

// Log-probabilities of one row of logits.
template <class T>
class LogSoftmax {
 public:
  LogSoftmax(const T* logits, int64_t n, double temperature)
      : logits_(logits), over_(1.0 / temperature) {
    const double most = *std::max_element(logits, logits + n) * over_;
    double sum = 0;
    for (int64_t v = 0; v < n; ++v) sum += std::exp(logits[v] * over_ - most);
    lse_ = most + std::log(sum);
  }
  double operator()(int64_t v) const { return logits_[v] * over_ - lse_; }

 private:
  const T* logits_;
  double over_, lse_;
};

// a·(log a − log b), 0 for a = 0.
double term(double log_a, double log_b) {
  return log_a == -INFINITY ? 0.0 : std::exp(log_a) * (log_a - log_b);
}

double log_mixture(double beta, double log_p, double log_q) {
  const double a = std::log1p(-beta) + log_p, b = std::log(beta) + log_q;
  const double most = std::max(a, b);
  return most == -INFINITY ? most : most + std::log1p(std::exp(std::min(a, b) - most));
}

// The part of one token in a row's divergence.
double share(const Divergence& d, double log_p, double log_q) {
  switch (d.kind) {
    case Divergence::Kind::kForward:
      return term(log_q, log_p);
    case Divergence::Kind::kReverse:
      return term(log_p, log_q);
    case Divergence::Kind::kJensenShannon: {
      const double log_m = log_mixture(d.beta, log_p, log_q);
      return d.beta * term(log_q, log_m) + (1 - d.beta) * term(log_p, log_m);
    }
  }
  return 0;
}

// p·s of the derivative.
double slope(const Divergence& d, double log_p, double log_q) {
  switch (d.kind) {
    case Divergence::Kind::kForward:
      return -std::exp(log_q);
    case Divergence::Kind::kReverse:
      return term(log_p, log_q);
    case Divergence::Kind::kJensenShannon:
      return (1 - d.beta) * term(log_p, log_mixture(d.beta, log_p, log_q));
  }
  return 0;
}

// f(row of the chunk, p, q, student's logits of the row) for all rows of two chunks, in parallel.
template <class T, class F>
void for_rows(const Divergence& d, const Tensor& logits, const Tensor& teacher_logits, F&& f) {
  const int64_t vocabulary = logits.size(1);
  parallel_for(logits.size(0), 1, [&](int64_t n) {
    T* own = logits.data<T>() + n * vocabulary;
    const T* theirs = teacher_logits.data<T>() + n * vocabulary;
    f(n, LogSoftmax<T>(own, vocabulary, d.temperature),
      LogSoftmax<T>(theirs, vocabulary, d.temperature), own);
  });
}

// f(student's chunk, teacher's chunk).
template <class F>
void for_chunks(const HeadChunks& chunks, const Problem& p, F&& f) {
  const HeadChunks teachers(p.teacher_hidden, p.teacher_head);
  chunks.for_each([&](const HeadChunks::Chunk& c) { f(c, teachers.chunk_at(c.first)); });
}

Tensor run_forward(const Problem& p, const Tensor& hidden) {
  const DType sums = accumulation_type(hidden.dtype());
  Tensor out({hidden.size(0)}, sums, hidden.device());
  for_chunks(HeadChunks(hidden, p.head), p, [&](const auto& c, const auto& teacher) {
    visit_sums(sums, [&](auto tag) {
      using T = typename decltype(tag)::type;
      for_rows<T>(p.divergence, c.logits, teacher.logits,
                  [&](int64_t n, const auto& log_p, const auto& log_q, const T*) {
                    double sum = 0;
                    for (int64_t v = 0; v < c.logits.size(1); ++v)
                      sum += share(p.divergence, log_p(v), log_q(v));
                    out.data<T>()[c.first + n] = static_cast<T>(sum);
                  });
    });
  });
  return out;
}

// The row's logits become dlogits.
template <class T>
void differentiate(const Divergence& d, double upstream, const LogSoftmax<T>& log_p,
                   const LogSoftmax<T>& log_q, T* logits, int64_t vocabulary) {
  double sum = 0;
  for (int64_t v = 0; v < vocabulary; ++v) sum += slope(d, log_p(v), log_q(v));
  for (int64_t v = 0; v < vocabulary; ++v) {
    const double lp = log_p(v);
    logits[v] =
        static_cast<T>(upstream / d.temperature * (slope(d, lp, log_q(v)) - std::exp(lp) * sum));
  }
}

void run_backward(const Problem& p, const Tensor& hidden, const std::vector<double>& upstream,
                  const HeadGradients& out) {
  const HeadChunks chunks(hidden, p.head);
  for_chunks(chunks, p, [&](const auto& c, const auto& teacher) {
    visit_sums(c.logits.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for_rows<T>(p.divergence, c.logits, teacher.logits,
                  [&](int64_t n, const auto& log_p, const auto& log_q, T* logits) {
                    differentiate(p.divergence, upstream[static_cast<size_t>(c.first + n)], log_p,
                                  log_q, logits, c.logits.size(1));
                  });
    });
    chunks.differentiate(c, c.logits, out);
  });
}

}  // namespace

Var token_divergence(const Var& hidden, const OutputHead& head, const Tensor& teacher_hidden,
                     const OutputHead& teacher_head, const Divergence& divergence) {
  const Tensor rows = as_rows(hidden.value);
  require(head.weight.shape()[0] == teacher_head.weight.shape()[0], ErrorKind::kShape, kOp,
          "the model has {} tokens and the teacher {}", head.weight.shape()[0],
          teacher_head.weight.shape()[0]);
  require(teacher_hidden.rank() == 2 && rows.size(0) == teacher_hidden.size(0) &&
              rows.dtype() == teacher_hidden.dtype(),
          ErrorKind::kShape, kOp, "hidden states {} and the teacher's {} do not belong together",
          hidden.shape(), teacher_hidden.shape());
  require(divergence.temperature > 0 && std::isfinite(divergence.temperature), ErrorKind::kShape,
          kOp, "the temperature is {}, expected a finite number above 0", divergence.temperature);
  require(divergence.beta > 0 && divergence.beta < 1, ErrorKind::kShape, kOp,
          "the teacher's weight is {}, expected a number between 0 and 1", divergence.beta);
  const Problem problem{head, teacher_head, teacher_hidden, divergence};
  return record(kOp, run_forward(problem, rows), {&hidden, &head.weight, &head.bias},
                [problem, hidden = hidden.ref(), saved = save(hidden)](Gradients& g) {
                  if (problem.teacher_hidden.size(0) == 0) return;
                  HeadGradients out{.hidden = target_or_none(g, hidden),
                                    .weight = target_or_none(g, problem.head.weight),
                                    .bias = target_or_none(g, problem.head.bias)};
                  if (out.hidden.target.defined()) out.hidden.target = as_rows(out.hidden.target);
                  run_backward(problem, as_rows(g.value(saved)), g.of_output().to_vector(), out);
                });
}

}  // namespace lathe::ops
