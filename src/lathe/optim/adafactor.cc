// Sums are taken in double, one row or one column by one thread in order, and row sums are added in
// order: the bits do not depend on the thread count.
#include "lathe/optim/adafactor.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/optim/blocks.h"
#include "lathe/optim/name_rules.h"
#include "lathe/optim/optimizers.h"
#include "lathe/optim/update.h"

namespace lathe {

void AdafactorConfig::visit(Visitor& v) {
  v.field("decay_exponent", decay_exponent, "the second moment decays by 1 - step^-this", above(0));
  v.field("clip", clip, "largest root mean square of an update, in units of the learning rate",
          above(0));
  v.field("eps1", eps1, "added to squared gradients", above(0));
  v.field("eps2", eps2, "smallest parameter scale with relative_step", above(0));
  v.field("relative_step", relative_step,
          "multiply the learning rate by the parameter's root mean square");
}

namespace {

// One matrix, or a vector as a matrix of one row.
template <class T>
struct Slice {
  T* w;
  const T* g;
  int64_t rows, cols;
  double scale;  // of the gradient
  int64_t row_grain() const {
    return std::max<int64_t>(1, optim::kGrain / std::max<int64_t>(cols, 1));
  }
  double square(int64_t i) const {
    const double x = static_cast<double>(g[i]) * scale;
    return x * x;
  }
};

// sum over rows of f(row), each row summed by one thread.
template <class F>
double sum_of_rows(int64_t rows, int64_t grain, F&& f) {
  std::vector<double> sums(static_cast<size_t>(rows));
  parallel_for(rows, grain, [&](int64_t r) { sums[static_cast<size_t>(r)] = f(r); });
  double total = 0;
  for (double s : sums) total += s;
  return total;
}

template <class T>
double rms_of_values(const Slice<T>& s) {
  const double total = sum_of_rows(s.rows, s.row_grain(), [&](int64_t r) {
    double sum = 0;
    for (int64_t i = r * s.cols; i < (r + 1) * s.cols; ++i)
      sum += static_cast<double>(s.w[i]) * static_cast<double>(s.w[i]);
    return sum;
  });
  return std::sqrt(total / static_cast<double>(s.rows * s.cols));
}

// The running means of g² + eps over rows and columns.
template <class T>
void update_factors(const Slice<T>& s, T* row, T* col, double beta, double eps) {
  parallel_for(s.rows, s.row_grain(), [=](int64_t r) {
    double sum = 0;
    for (int64_t i = r * s.cols; i < (r + 1) * s.cols; ++i) sum += s.square(i) + eps;
    row[r] = static_cast<T>(beta * row[r] + (1 - beta) * sum / static_cast<double>(s.cols));
  });
  const int64_t grain = std::max<int64_t>(16, optim::kGrain / std::max<int64_t>(s.rows, 1));
  parallel_ranges(s.cols, grain, [=](Range range, int) {
    std::vector<double> sums(static_cast<size_t>(range.size()), 0.0);
    for (int64_t r = 0; r < s.rows; ++r)
      for (int64_t c = range.begin; c < range.end; ++c)
        sums[static_cast<size_t>(c - range.begin)] += s.square(r * s.cols + c) + eps;
    for (int64_t c = range.begin; c < range.end; ++c)
      col[c] =
          static_cast<T>(beta * col[c] + (1 - beta) * sums[static_cast<size_t>(c - range.begin)] /
                                             static_cast<double>(s.rows));
  });
}

// w <- keep·w - alpha·u / max(1, RMS(u) / clip), where u = g·row_factor(r)·col_factor(i).
template <class T, class F>
void apply(const Slice<T>& s, double keep, double alpha, double clip, F&& inverse_root) {
  const double total = sum_of_rows(s.rows, s.row_grain(), [&](int64_t r) {
    double sum = 0;
    for (int64_t c = 0; c < s.cols; ++c) {
      const double u = inverse_root(r, c);
      sum += s.square(r * s.cols + c) * u * u;
    }
    return sum;
  });
  const double rms = std::sqrt(total / static_cast<double>(s.rows * s.cols));
  const double size = alpha * s.scale / std::max(1.0, rms / clip);
  parallel_ranges(s.rows * s.cols, optim::kGrain, [&](Range range, int) {
    int64_t r = range.begin / s.cols, c = range.begin % s.cols;
    for (int64_t i = range.begin; i < range.end; ++i) {
      s.w[i] = static_cast<T>(keep * s.w[i] - size * inverse_root(r, c) * s.g[i]);
      if (++c == s.cols) c = 0, ++r;
    }
  });
}

class Adafactor final : public Optimizer {
 public:
  Adafactor(const OptimConfig& shared, const AdafactorConfig& config)
      : config_(config), rules_(shared) {}

  void update(const TrainedParameter& p, const Tensor& gradient, std::span<const Tensor> state,
              const StepInfo& info) const override {
    if (p.master.numel() == 0) return;
    StepInfo own = info;
    own.lr *= rules_.lr_ratio(*p.parameter);
    optim::visit_master(p, [&](auto tag) {
      using T = typename decltype(tag)::type;
      p.master.rank() < 2 ? step_vector<T>(p, gradient, state[0], own)
                          : step_matrices<T>(p, gradient, state[0], state[1], own);
    });
    optim::refresh_compute(p);
  }

  std::vector<StateShape> state_of(const Parameter& p) const override {
    if (p.shape.rank() < 2) return {{"adafactor.v", p.shape}};
    const int64_t cols = p.shape[-1];
    return {{"adafactor.row", {cols > 0 ? p.shape.numel() / cols : 0}},
            {"adafactor.col", {static_cast<int64_t>(optim::matrix_blocks(p).size()), cols}}};
  }

 private:
  std::string_view name() const override { return "adafactor"; }

  double beta(const StepInfo& info) const {
    return 1 - std::pow(static_cast<double>(info.step), -config_.decay_exponent);
  }
  template <class T>
  double alpha(const Slice<T>& s, const StepInfo& info) const {
    return config_.relative_step ? info.lr * std::max(config_.eps2, rms_of_values(s)) : info.lr;
  }

  template <class T>
  void step_vector(const TrainedParameter& p, const Tensor& g, const Tensor& squares,
                   const StepInfo& info) const {
    const Slice<T> s{p.master.data<T>(), g.data<T>(), 1, p.master.numel(), info.grad_scale};
    T* v = squares.data<T>();
    const double b = beta(info);
    parallel_for(s.cols, optim::kGrain, [&, eps = config_.eps1](int64_t i) {
      v[i] = static_cast<T>(b * v[i] + (1 - b) * (s.square(i) + eps));
    });
    apply(s, 1 - info.lr * rules_.decay(*p.parameter), alpha(s, info), config_.clip,
          [v](int64_t, int64_t i) { return 1 / std::sqrt(static_cast<double>(v[i])); });
  }

  template <class T>
  void step_matrices(const TrainedParameter& p, const Tensor& g, const Tensor& rows,
                     const Tensor& cols, const StepInfo& info) const {
    int64_t first_row = 0, index = 0;
    const double keep = 1 - info.lr * rules_.decay(*p.parameter);
    for (const optim::MatrixBlock& block : optim::matrix_blocks(*p.parameter)) {
      const Slice<T> s{p.master.data<T>() + block.offset, g.data<T>() + block.offset, block.rows,
                       block.cols, info.grad_scale};
      T* row = rows.data<T>() + first_row;
      T* col = cols.data<T>() + index * block.cols;
      update_factors(s, row, col, beta(info), config_.eps1);
      step_factored(s, row, col, keep, alpha(s, info));
      first_row += block.rows;
      ++index;
    }
  }

  template <class T>
  void step_factored(const Slice<T>& s, const T* row, const T* col, double keep,
                     double alpha) const {
    double mean = 0;
    for (int64_t r = 0; r < s.rows; ++r) mean += row[r];
    mean /= static_cast<double>(s.rows);
    // Roots are taken once for each row and column, not for each element.
    std::vector<double> by_row(static_cast<size_t>(s.rows)), by_col(static_cast<size_t>(s.cols));
    for (size_t r = 0; r < by_row.size(); ++r) by_row[r] = std::sqrt(mean / row[r]);
    for (size_t c = 0; c < by_col.size(); ++c)
      by_col[c] = 1 / std::sqrt(static_cast<double>(col[c]));
    apply(s, keep, alpha, config_.clip, [&](int64_t r, int64_t c) {
      return by_row[static_cast<size_t>(r)] * by_col[static_cast<size_t>(c)];
    });
  }

  AdafactorConfig config_;
  NameRules rules_;
};

}  // namespace

OptimizerEntry adafactor_optimizer() {
  return optimizer_entry<Adafactor, AdafactorConfig>(
      {.name = "adafactor",
       .summary = "adaptive step from the row and column means of squares",
       .source = "Shazeer & Stern 2018, arXiv:1804.04235"},
      "adafactor.*");
}

}  // namespace lathe
