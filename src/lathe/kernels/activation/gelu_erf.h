#pragma once

#include <string_view>

#include "lathe/kernels/activation/math.h"

namespace lathe::kernels::activation {

// The exact form: "gelu" in config.json files.
struct GeluErf {
  static constexpr std::string_view kName = "gelu";
  static constexpr std::string_view kFormula = "x * Phi(x) = x/2 * (1 + erf(x / sqrt(2)))";
  static constexpr std::string_view kSource = "Hendrycks & Gimpel 2016, arXiv:1606.08415";

  template <class T>
  static T value(T x) {
    return T(0.5) * x * (T(1) + math::erf(x * T(0.70710678118654752440)));
  }
  template <class T>
  static T derivative(T x) {
    const T density = T(0.39894228040143267794) * math::exp(T(-0.5) * x * x);
    return T(0.5) * (T(1) + math::erf(x * T(0.70710678118654752440))) + x * density;
  }
};

}  // namespace lathe::kernels::activation
