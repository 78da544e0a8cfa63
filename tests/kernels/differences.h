// Four-point central differences in f64, for backward kernels of the reference table.
#pragma once

#include <numeric>

#include "kernels/harness.h"

namespace lathe::kernels::testing {

inline const Kernels& kernels() { return ref_kernels(); }

inline Tensor random(const Shape& shape, std::string_view name) {
  const Rng rng = Rng(77).fork(name);
  const Tensor t(shape, DType::kF64);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<double>()[i] = rng.normal(static_cast<uint64_t>(i));
  return t;
}
inline Tensor zeros(const Shape& shape) { return Tensor::zeros(shape, DType::kF64); }

inline double dot(const Tensor& a, const Tensor& b) {
  const auto x = a.span<double>(), y = b.span<double>();
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

// `gradient` is what the backward says d loss / dx is; `loss` reads x through its storage.
inline void check_gradient(const char* name, const Tensor& x, const Tensor& gradient,
                           const std::function<double()>& loss) {
  constexpr double kStep = 1e-3;
  for (int64_t i = 0; i < x.numel(); ++i) {
    double& element = x.data<double>()[i];
    const double saved = element;
    const auto at = [&](double step) {
      element = saved + step;
      return loss();
    };
    const double slope =
        (at(-2 * kStep) - 8 * at(-kStep) + 8 * at(kStep) - at(2 * kStep)) / (12 * kStep);
    element = saved;
    ASSERT_NEAR(gradient.data<double>()[i], slope, 1e-8 * std::max(1.0, std::abs(slope)))
        << name << " element " << i;
  }
}

}  // namespace lathe::kernels::testing
