#include "lathe/optim/muon.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lathe/base/error.h"
#include "lathe/optim/newton_schulz.h"
#include "optim/optim_testing.h"

namespace lathe {
namespace {

using namespace lathe::testing;
using Numbers = std::vector<double>;

struct Matrix {
  size_t rows, cols;
  Numbers x;
  double operator()(size_t r, size_t c) const { return x[r * cols + c]; }
};

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix out{a.rows, b.cols, Numbers(a.rows * b.cols, 0.0)};
  for (size_t i = 0; i < a.rows; ++i)
    for (size_t k = 0; k < a.cols; ++k)
      for (size_t j = 0; j < b.cols; ++j) out.x[i * b.cols + j] += a(i, k) * b(k, j);
  return out;
}

Matrix transposed(const Matrix& a) {
  Matrix out{a.cols, a.rows, Numbers(a.x.size())};
  for (size_t i = 0; i < a.rows; ++i)
    for (size_t j = 0; j < a.cols; ++j) out.x[j * a.rows + i] = a(i, j);
  return out;
}

// Singular values by Jacobi rotations of pairs of columns until all are orthogonal (rows >= cols).
Numbers singular_values(Matrix a) {
  if (a.rows < a.cols) a = transposed(a);
  for (int sweep = 0; sweep < 30; ++sweep)
    for (size_t p = 0; p < a.cols; ++p)
      for (size_t q = p + 1; q < a.cols; ++q) {
        double pp = 0, qq = 0, pq = 0;
        for (size_t i = 0; i < a.rows; ++i)
          pp += a(i, p) * a(i, p), qq += a(i, q) * a(i, q), pq += a(i, p) * a(i, q);
        if (std::abs(pq) < 1e-15 * std::sqrt(pp * qq)) continue;
        const double angle = 0.5 * std::atan2(2 * pq, pp - qq), c = std::cos(angle),
                     s = std::sin(angle);
        for (size_t i = 0; i < a.rows; ++i) {
          const double x = a(i, p), y = a(i, q);
          a.x[i * a.cols + p] = c * x + s * y;
          a.x[i * a.cols + q] = c * y - s * x;
        }
      }
  Numbers values;
  for (size_t j = 0; j < a.cols; ++j) {
    double sum = 0;
    for (size_t i = 0; i < a.rows; ++i) sum += a(i, j) * a(i, j);
    values.push_back(std::sqrt(sum));
  }
  return values;
}

Matrix orthogonal(size_t n, uint64_t seed) {  // Gram-Schmidt
  Matrix q{n, n, normals(n * n, seed)};
  for (size_t i = 0; i < n; ++i) {
    for (int twice = 0; twice < 2; ++twice)
      for (size_t k = 0; k < i; ++k) {
        double dot = 0;
        for (size_t j = 0; j < n; ++j) dot += q(i, j) * q(k, j);
        for (size_t j = 0; j < n; ++j) q.x[i * n + j] -= dot * q(k, j);
      }
    double norm = 0;
    for (size_t j = 0; j < n; ++j) norm += q(i, j) * q(i, j);
    for (size_t j = 0; j < n; ++j) q.x[i * n + j] /= std::sqrt(norm);
  }
  return q;
}

Matrix orthogonalise(const Matrix& a, const Place& place, int64_t steps = 5) {
  const Tensor x({static_cast<int64_t>(a.rows), static_cast<int64_t>(a.cols)}, place.dtype,
                 place.device);
  set(x, a.x);
  return {a.rows, a.cols, optim::newton_schulz(x, steps).to_vector()};
}

TEST(NewtonSchulz, SingularValuesComeNearOne) {
  for (const Place& place : kPlaces)
    for (const auto& [rows, cols] :
         {std::pair<size_t, size_t>{12, 12}, {8, 20}, {20, 8}, {1, 6}, {6, 1}}) {
      const Matrix y = orthogonalise({rows, cols, normals(rows * cols, rows + 31 * cols)}, place);
      for (double s : singular_values(y)) {
        EXPECT_GT(s, 0.67) << rows << "x" << cols;
        EXPECT_LT(s, 1.14) << rows << "x" << cols;
      }
    }
}

TEST(NewtonSchulz, OneStepIsThePolynomial) {
  // A diagonal matrix stays diagonal: s -> a·s + b·s³ + c·s⁵ of s over the norm.
  const Matrix y = orthogonalise({2, 3, {3, 0, 0, 0, 4, 0}}, kRef, 1);
  const auto p = [](double s) { return 3.4445 * s - 4.7750 * s * s * s + 2.0315 * std::pow(s, 5); };
  EXPECT_NEAR(y(0, 0), p(0.6), 1e-12);
  EXPECT_NEAR(y(1, 1), p(0.8), 1e-12);
  EXPECT_NEAR(y(0, 1), 0, 1e-12);
}

TEST(NewtonSchulz, TurnsWithItsArgument) {
  // newton_schulz(Q·x·P) = Q·newton_schulz(x)·P for orthogonal Q and P.
  const Matrix x{5, 9, normals(45, 1)}, q = orthogonal(5, 2), p = orthogonal(9, 3);
  const Matrix a = orthogonalise(product(product(q, x), p), kRef);
  const Matrix b = product(product(q, orthogonalise(x, kRef)), p);
  for (size_t i = 0; i < a.x.size(); ++i) EXPECT_NEAR(a.x[i], b.x[i], 1e-10);
}

TEST(NewtonSchulz, ScaleAndZero) {
  const Matrix x{3, 4, normals(12, 1)};
  Matrix tiny = x;
  for (double& v : tiny.x) v *= 1e-12;
  const Matrix a = orthogonalise(x, kCpu), b = orthogonalise(tiny, kCpu);
  for (size_t i = 0; i < a.x.size(); ++i) EXPECT_NEAR(a.x[i], b.x[i], 1e-4);
  EXPECT_EQ(orthogonalise({2, 2, {0, 0, 0, 0}}, kCpu).x, Numbers(4, 0.0));
}

// The formula of muon.h for a wide matrix.
TEST(Muon, FollowsTheFormula) {
  for (const Place& place : kPlaces)
    for (const std::string adjust : {"match_rms_adamw", "original"})
      for (const bool nesterov : {true, false})
        for (const auto& [rows, cols] : {std::pair<size_t, size_t>{3, 5}, {8, 2}}) {
          Parameters all;
          const Shape shape = {static_cast<int64_t>(rows), static_cast<int64_t>(cols)};
          Owned& p = all.add(parameter("w", shape, place, normals(rows * cols, 1)));
          OptimConfig c;
          c.name = "muon";
          c.components.get<MuonConfig>().adjust_lr = adjust;
          c.components.get<MuonConfig>().nesterov = nesterov;
          const auto muon = make_optimizer(c, all.list);
          Numbers w = p.master.to_vector(), m(w.size(), 0.0);
          const double r = static_cast<double>(rows), k = static_cast<double>(cols);
          const double scale = adjust == "original" ? std::sqrt(std::max(1.0, r / k))
                                                    : 0.2 * std::sqrt(std::max(r, k));
          for (int64_t t = 1; t <= 3; ++t) {
            random_gradients(all, static_cast<uint64_t>(t));
            const Numbers g = p.gradient.tensor.to_vector();
            Matrix u{rows, cols, Numbers(w.size())};
            for (size_t i = 0; i < w.size(); ++i) {
              m[i] = 0.95 * m[i] + 0.05 * 2 * g[i];
              u.x[i] = nesterov ? 0.95 * m[i] + 0.05 * 2 * g[i] : m[i];
            }
            const Matrix o = orthogonalise(u, kRef);
            for (size_t i = 0; i < w.size(); ++i)
              w[i] = w[i] - 0.02 * 0.1 * w[i] - 0.02 * scale * o.x[i];
            muon->step(all.list, {.step = t, .lr = 0.02, .grad_scale = 2});
          }
          const Numbers got = p.master.to_vector();
          for (size_t i = 0; i < w.size(); ++i)
            EXPECT_NEAR(got[i], w[i], place.tolerance) << adjust;
        }
}

TEST(Muon, UpdateRmsIsThatOfAdamW) {
  Parameters all;
  Owned& p = all.add(parameter("w", {64, 192}, kCpu, Numbers(64 * 192, 0.0)));
  OptimConfig c;
  c.name = "muon";
  const auto muon = make_optimizer(c, all.list);
  random_gradients(all, 1);
  muon->step(all.list, {.step = 1, .lr = 1.0});
  double square = 0;
  for (double x : p.master.to_vector()) square += x * x;
  EXPECT_NEAR(std::sqrt(square / (64 * 192)), 0.2, 0.03);
}

TEST(Muon, TablesAndVectorsGoToAdamW) {
  Parameters mixed = mixture(kCpu), plain = mixture(kCpu);
  OptimConfig c;
  c.name = "muon";
  c.components.get<MuonConfig>().adamw_lr_ratio = 0.5;
  const auto muon = make_optimizer(c, mixed.list);
  c.name = "adamw";
  const auto adamw = make_optimizer(c, plain.list);
  for (int64_t t = 1; t <= 3; ++t) {
    random_gradients(mixed, static_cast<uint64_t>(t));
    random_gradients(plain, static_cast<uint64_t>(t));
    muon->step(mixed.list, {.step = t, .lr = 0.02});
    adamw->step(plain.list, {.step = t, .lr = 0.01});
  }
  for (const size_t i : {1, 2})  // embedding.weight, norm.weight
    EXPECT_EQ(mixed.list[i].master.to_vector(), plain.list[i].master.to_vector());
  for (const size_t i : {0, 3})
    EXPECT_NE(mixed.list[i].master.to_vector(), plain.list[i].master.to_vector());
  std::vector<std::string> names;
  muon->for_each_state([&](const StateTensor& state) { names.push_back(state.name); });
  EXPECT_EQ(names, (std::vector<std::string>{"muon.momentum/attention.qkv.weight",
                                             "adamw.m/embedding.weight", "adamw.v/embedding.weight",
                                             "adamw.m/norm.weight", "adamw.v/norm.weight",
                                             "muon.momentum/experts.weight"}));
}

}  // namespace
}  // namespace lathe
