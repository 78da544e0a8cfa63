// Loops over [N, E] and [N, k] numbers: a thousandth of what the experts compute, so they are
// plain.

#include "lathe/ops/moe_routing.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/ops/best_indices.h"
#include "lathe/ops/common.h"
#include "lathe/ops/linear.h"

namespace lathe::ops {
namespace {

constexpr int64_t kGrain = 1 << 12;  // elements worth a thread

int64_t row_grain(int64_t width) {
  return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width));
}

template <class T>
T* row_of(const Tensor& t, int64_t n) {
  return t.data<T>() + n * t.size(1);
}

void check_scores(std::string_view op, const Tensor& scores) {
  require(scores.rank() == 2 && scores.size(1) > 0 && scores.contiguous(), ErrorKind::kShape, op,
          "scores are {}, expected [N, E]", scores.shape());
  require_dtype(op, "scores", scores, accumulation_type(scores.dtype()));
}

// f(TypeTag<T>{}) for the dtypes of scores: float and double.
template <class F>
void visit_scores(DType dtype, F&& f) {
  if (dtype == DType::kF64)
    f(TypeTag<double>{});
  else
    f(TypeTag<float>{});
}

template <class T>
void multiply_by_noise(const Tensor& x, double eps, const Rng& rng, const Tensor& y) {
  const int64_t blocks = (x.numel() + 3) / 4;
  parallel_for(blocks, kGrain / 16, [&](int64_t block) {
    const auto words = rng.block(static_cast<uint64_t>(block));
    const int64_t first = 4 * block, end = std::min(x.numel(), first + 4);
    for (int64_t i = first; i < end; ++i) {
      const double u = static_cast<double>(words[static_cast<size_t>(i - first)] >> 8) * 0x1p-24;
      const double factor = 1.0 - eps + 2.0 * eps * u;
      y.data<T>()[i] = from_double<T>(static_cast<double>(to_float(x.data<T>()[i])) * factor);
    }
  });
}

Tensor with_noise(const Tensor& x, double eps, const Rng& rng) {
  const Tensor source = x.contiguous() ? x : x.clone();
  Tensor y(x.shape(), x.dtype(), x.device());
  visit_floating(x.dtype(), [&](auto tag) {
    multiply_by_noise<typename decltype(tag)::type>(source, eps, rng, y);
  });
  return y;
}

// The sum of the `count` largest of `size` values.
template <class T>
T sum_of_best(const T* values, int64_t size, int64_t count) {
  std::vector<T> sorted(values, values + size);
  std::partial_sort(sorted.begin(), sorted.begin() + count, sorted.end(), std::greater<>());
  return std::accumulate(sorted.begin(), sorted.begin() + count, T{});
}

template <class T>
void mask_groups(const T* scores, int64_t experts, const ExpertGroups& groups, T* out) {
  const int64_t size = experts / groups.count;
  std::vector<T> of_group(static_cast<size_t>(groups.count));
  for (int64_t i = 0; i < groups.count; ++i)
    of_group[static_cast<size_t>(i)] = sum_of_best(scores + i * size, size, groups.scored_by);
  std::vector<int32_t> kept(static_cast<size_t>(groups.kept));
  best_indices(of_group.data(), groups.count, groups.kept, kept.data());
  std::fill_n(out, experts, -std::numeric_limits<T>::infinity());
  for (int32_t i : kept) std::copy_n(scores + i * size, size, out + i * size);
}

template <class T>
void gates_of_row(const T* scores, const int32_t* choices, int64_t k, const GateOptions& o,
                  T* out) {
  T sum = 0;
  for (int64_t j = 0; j < k; ++j) sum += out[j] = choices[j] < 0 ? T{0} : scores[choices[j]];
  const T factor = static_cast<T>(o.scale) / (o.normalize ? sum + static_cast<T>(o.eps) : T{1});
  for (int64_t j = 0; j < k; ++j) out[j] *= factor;
}

// w_j = c·s_j / (S + eps): ds_j = c·(dw_j - sum_i s_i·dw_i / (S + eps)) / (S + eps).
template <class T>
void gates_backward_of_row(const T* scores, const int32_t* choices, const T* dw, int64_t k,
                           const GateOptions& o, T* dscores) {
  T sum = 0, mean = 0;
  for (int64_t j = 0; j < k; ++j) {
    if (choices[j] < 0) continue;
    sum += scores[choices[j]];
    mean += scores[choices[j]] * dw[j];
  }
  const T denominator = o.normalize ? sum + static_cast<T>(o.eps) : T{1};
  const T shared = o.normalize ? mean / denominator : T{0};
  for (int64_t j = 0; j < k; ++j)
    if (choices[j] >= 0)
      dscores[choices[j]] += static_cast<T>(o.scale) * (dw[j] - shared) / denominator;
}

}  // namespace

Var cast(const Var& x, DType dtype) {
  if (x.value.dtype() == dtype) return x;
  const auto& k = kernels_of(x.value);
  Tensor y(x.shape(), dtype, x.value.device());
  k.cast(x.value, y);
  return record("cast", y, {&x}, [x = x.ref(), from = x.value.dtype(), &k](Gradients& g) {
    const Tensor& dy = g.of_output();
    Tensor dx(dy.shape(), from, dy.device());
    k.cast(dy, dx);
    g.add(x, dx);
  });
}

Var jitter(const Var& x, double eps, const Rng& rng) {
  require(eps >= 0.0 && eps < 1.0, ErrorKind::kShape, "jitter", "eps {} is not in [0, 1)", eps);
  if (eps == 0.0) return x;
  return record(
      "jitter", with_noise(x.value, eps, rng), {&x},
      [x = x.ref(), eps, rng](Gradients& g) { g.add(x, with_noise(g.of_output(), eps, rng)); });
}

Var router_logits(const Var& x, const Var& w, const Var& b) {
  const DType type = accumulation_type(x.value.dtype());
  const Var logits = linear(cast(x, type), cast(w, type), b);
  const int64_t experts = w.shape()[0];
  const Shape flat = {logits.value.numel() / experts, experts};
  if (logits.shape() == flat) return logits;
  return record("router_logits", logits.value.reshape(flat), {&logits},
                [logits = logits.ref(), shape = logits.shape()](Gradients& g) {
                  g.add(logits, g.of_output().reshape(shape));
                });
}

Var softmax(const Var& x) {
  check_scores("softmax", x.value);
  const auto& k = kernels_of(x.value);
  Tensor y(x.shape(), x.value.dtype(), x.value.device());
  k.softmax(x.value, y, TensorView());
  return record("softmax", y, {&x}, [x = x.ref(), y, &k](Gradients& g) {
    Tensor dx(y.shape(), y.dtype(), y.device());
    k.softmax_backward(y, g.of_output(), dx);
    g.add(x, dx);
  });
}

Var share_of_sum(const Var& x) {
  check_scores("share_of_sum", x.value);
  const int64_t rows = x.shape()[0], experts = x.shape()[1];
  Tensor all({rows, experts}, DType::kI32);
  for (int64_t n = 0; n < rows; ++n)
    std::iota(row_of<int32_t>(all, n), row_of<int32_t>(all, n) + experts, 0);
  return gates(x, all, {.normalize = true});
}

Tensor limit_to_groups(const Tensor& scores, const ExpertGroups& groups) {
  check_scores("expert groups", scores);
  const int64_t experts = scores.size(1);
  require(groups.count > 0 && experts % groups.count == 0 && groups.kept >= 1 &&
              groups.kept <= groups.count && groups.scored_by >= 1,
          ErrorKind::kShape, "expert groups", "{} of {} groups of {} experts", groups.kept,
          groups.count, experts);
  if (groups.kept == groups.count) return scores;
  require(groups.scored_by <= experts / groups.count, ErrorKind::kShape, "expert groups",
          "groups of {} experts cannot be scored by their {} best", experts / groups.count,
          groups.scored_by);
  Tensor out(scores.shape(), scores.dtype(), scores.device());
  visit_scores(scores.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    parallel_for(scores.size(0), row_grain(8 * experts), [&](int64_t n) {
      mask_groups(row_of<T>(scores, n), experts, groups, row_of<T>(out, n));
    });
  });
  return out;
}

Tensor top_k(const Tensor& scores, int64_t k) {
  check_scores("top_k", scores);
  require(k >= 1 && k <= scores.size(1), ErrorKind::kShape, "top_k", "{} of {} columns", k,
          scores.size(1));
  Tensor out({scores.size(0), k}, DType::kI32);
  visit_scores(scores.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    parallel_for(scores.size(0), row_grain(8 * scores.size(1)), [&](int64_t n) {
      best_indices(row_of<T>(scores, n), scores.size(1), k, row_of<int32_t>(out, n));
    });
  });
  return out;
}

Tensor drop_over_capacity(const Tensor& choices, int64_t experts, const Sequences& groups,
                          std::span<const int64_t> capacities) {
  const int64_t k = choices.size(1);
  require(groups.rows() == choices.size(0) &&
              static_cast<int64_t>(capacities.size()) == groups.count(),
          ErrorKind::kShape, "capacity", "{} tokens and {} capacities for groups of {} in all",
          choices.size(0), capacities.size(), groups.rows());
  Tensor kept = choices.clone();
  for (int64_t g = 0; g < groups.count(); ++g) {
    std::vector<int64_t> load(static_cast<size_t>(experts), 0);
    for (int64_t j = 0; j < k; ++j)
      for (int64_t n = groups.first(g); n < groups.first(g + 1); ++n) {
        int32_t& expert = row_of<int32_t>(kept, n)[j];
        if (expert >= 0 &&
            ++load[static_cast<size_t>(expert)] > capacities[static_cast<size_t>(g)])
          expert = -1;
      }
  }
  return kept;
}

Var gates(const Var& scores, const Tensor& choices, const GateOptions& options) {
  check_scores("gates", scores.value);
  require(choices.rank() == 2 && choices.size(0) == scores.shape()[0], ErrorKind::kShape, "gates",
          "choices {} do not fit scores {}", choices.shape(), scores.shape());
  const int64_t rows = choices.size(0), k = choices.size(1);
  for (int32_t e : choices.span<int32_t>())
    require(e >= -1 && e < scores.shape()[1], ErrorKind::kShape, "gates", "expert {} of {}", e,
            scores.shape()[1]);
  Tensor w(choices.shape(), scores.value.dtype(), scores.value.device());
  auto each_row = [rows, k](DType dtype, auto&& f) {
    visit_scores(
        dtype, [&](auto tag) { parallel_for(rows, row_grain(k), [&](int64_t n) { f(tag, n); }); });
  };
  each_row(w.dtype(), [&](auto tag, int64_t n) {
    using T = typename decltype(tag)::type;
    gates_of_row(row_of<T>(scores.value, n), row_of<int32_t>(choices, n), k, options,
                 row_of<T>(w, n));
  });
  return record(
      "gates", w, {&scores},
      [scores = scores.ref(), values = scores.value, choices, k, options, each_row](Gradients& g) {
        const Tensor& dw = g.of_output();
        const Tensor ds = Tensor::zeros(values.shape(), values.dtype(), values.device());
        each_row(values.dtype(), [&](auto tag, int64_t n) {
          using T = typename decltype(tag)::type;
          gates_backward_of_row(row_of<T>(values, n), row_of<int32_t>(choices, n), row_of<T>(dw, n),
                                k, options, row_of<T>(ds, n));
        });
        g.add(scores, ds);
      });
}

}  // namespace lathe::ops
