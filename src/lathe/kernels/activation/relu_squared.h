#pragma once

#include <string_view>

#include "lathe/kernels/activation/math.h"

namespace lathe::kernels::activation {

// The square of ReLU, found by a search over Transformer variants (Primer).
struct ReluSquared {
  static constexpr std::string_view kName = "relu2";
  static constexpr std::string_view kFormula = "max(x, 0)^2";
  static constexpr std::string_view kSource = "So et al. 2021, arXiv:2109.08668";

  template <class T>
  static T value(T x) {
    const T positive = x > T(0) ? x : T(0);
    return positive * positive;
  }
  template <class T>
  static T derivative(T x) {
    return x > T(0) ? T(2) * x : T(0);
  }
};

}  // namespace lathe::kernels::activation
