#include "lathe/model/adapter/svd.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lathe/base/error.h"
#include "lathe/base/rng.h"
#include "lathe/ops/linear.h"

namespace lathe {
namespace {

using Rows = std::vector<std::vector<double>>;

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

void rotate(std::vector<double>& a, std::vector<double>& b, double c, double s) {
  for (size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b[i];
    a[i] = c * x - s * y;
    b[i] = s * x + c * y;
  }
}

// Rotates pairs of rows until all are orthogonal, and the rows of `turned` with them.
void make_orthogonal(Rows& rows, Rows& turned) {
  constexpr int kMostSweeps = 60;
  constexpr double kEnough = 1e-15;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    bool changed = false;
    for (size_t i = 0; i + 1 < rows.size(); ++i)
      for (size_t j = i + 1; j < rows.size(); ++j) {
        const double a = dot(rows[i], rows[i]), b = dot(rows[j], rows[j]),
                     c = dot(rows[i], rows[j]);
        if (std::abs(c) <= kEnough * std::sqrt(a * b)) continue;
        changed = true;
        const double zeta = (b - a) / (2 * c);
        const double t = std::copysign(1.0, zeta) / (std::abs(zeta) + std::hypot(1.0, zeta));
        const double cosine = 1 / std::hypot(1.0, t);
        rotate(rows[i], rows[j], cosine, cosine * t);
        rotate(turned[i], turned[j], cosine, cosine * t);
      }
    if (!changed) return;
  }
}

Rows rows_of(const Tensor& w) {
  const std::vector<double> all = w.to_vector();
  const auto columns = static_cast<ptrdiff_t>(w.size(1));
  Rows rows;
  for (ptrdiff_t r = 0; r < w.size(0); ++r)
    rows.emplace_back(all.begin() + r * columns, all.begin() + (r + 1) * columns);
  return rows;
}

Rows identity(size_t n) {
  Rows rows(n, std::vector<double>(n, 0.0));
  for (size_t i = 0; i < n; ++i) rows[i][i] = 1;
  return rows;
}

Svd by_rotations(const Tensor& w, int64_t count) {
  const bool wide = w.size(0) <= w.size(1);
  // The rows that become orthogonal are those of the shorter side: rows = T·W, W = Tᵀ·rows.
  Rows rows = rows_of(wide ? w : w.transpose(0, 1).clone()), turned = identity(rows.size());
  make_orthogonal(rows, turned);
  std::vector<double> lengths;
  for (const auto& row : rows) lengths.push_back(std::sqrt(dot(row, row)));
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });
  const auto n = static_cast<size_t>(std::min<int64_t>(count, std::ssize(rows)));
  std::vector<double> values, small, large;  // directions of the shorter and the longer side
  for (size_t i = 0; i < n; ++i) {
    const size_t k = order[i];
    values.push_back(lengths[k]);
    small.insert(small.end(), turned[k].begin(), turned[k].end());
    for (const double v : rows[k]) large.push_back(lengths[k] > 0 ? v / lengths[k] : 0.0);
  }
  const auto some = static_cast<int64_t>(n);
  const Tensor of_small = Tensor::of<double>(small, {some, std::min(w.size(0), w.size(1))}),
               of_large = Tensor::of<double>(large, {some, std::max(w.size(0), w.size(1))});
  return {(wide ? of_small : of_large).transpose(0, 1).clone(), std::move(values),
          wide ? of_large : of_small};
}

// The rows of x made orthonormal (Gram–Schmidt, twice); one that depends on those before becomes 0.
Tensor orthonormal_rows(const Tensor& x) {
  Rows rows = rows_of(x);
  std::vector<double> all;
  for (size_t i = 0; i < rows.size(); ++i) {
    const double before = std::sqrt(dot(rows[i], rows[i]));
    for (int round = 0; round < 2; ++round)
      for (size_t j = 0; j < i; ++j) {
        const double part = dot(rows[i], rows[j]);
        for (size_t c = 0; c < rows[i].size(); ++c) rows[i][c] -= part * rows[j][c];
      }
    const double length = std::sqrt(dot(rows[i], rows[i]));
    constexpr double kDependent = 1e-10;
    for (double& v : rows[i]) v = length > kDependent * before ? v / length : 0.0;
    all.insert(all.end(), rows[i].begin(), rows[i].end());
  }
  return Tensor::of<double>(all, x.shape(), x.device()).to(x.dtype());
}

// a·bᵀ.
Tensor product(const Tensor& a, const Tensor& b) {
  return ops::linear(Var(a), Var(b), Var()).value;
}

Svd in_subspace(const Tensor& w, int64_t count) {
  constexpr int64_t kMore = 16;
  constexpr int kIterations = 8;
  const Tensor turned = w.transpose(0, 1).clone();
  const int64_t width = std::min(2 * count + kMore, std::min(w.size(0), w.size(1)));
  std::vector<double> drawn;
  const Rng rng = Rng(0).fork("subspace");
  for (int64_t i = 0; i < width * w.size(1); ++i)
    drawn.push_back(rng.normal(static_cast<uint64_t>(i)));
  Tensor basis = Tensor::of<double>(drawn, {width, w.size(1)}, w.device()).to(w.dtype());
  for (int i = 0; i < kIterations; ++i)  // [width, columns] -> [width, rows] and back
    basis = orthonormal_rows(product(orthonormal_rows(product(basis, w)), turned));
  const Svd part = by_rotations(product(w, basis), count);  // W·basisᵀ [rows, width]
  const Tensor right = part.right.to(w.dtype()).to(w.device());
  return {part.left, part.values, product(right, basis.transpose(0, 1).clone()).to(DType::kF64)};
}

}  // namespace

Svd singular_values(const Tensor& w, int64_t count) {
  require(w.rank() == 2, ErrorKind::kShape, "svd", "{} is not a matrix", w.shape());
  constexpr int64_t kSmall = 256;
  const int64_t most = std::min(w.size(0), w.size(1));
  if (most <= kSmall || 4 * count > most) return by_rotations(w, count);
  return in_subspace(w.dtype() == DType::kF64 ? w : w.to(DType::kF32), count);
}

}  // namespace lathe
