#pragma once

#include <string_view>

#include "lathe/kernels/activation/math.h"

namespace lathe::kernels::activation {

// The approximation that GPT-2 uses: "gelu_new" and "gelu_pytorch_tanh" in config.json files.
struct GeluTanh {
  static constexpr std::string_view kName = "gelu_tanh";
  static constexpr std::string_view kFormula = "x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))";
  static constexpr std::string_view kSource = "Hendrycks & Gimpel 2016, arXiv:1606.08415";

  // Written with 1 + tanh(u) = 2 / (1 + exp(-2u)), which does not cancel for negative x.
  template <class T>
  static T value(T x) {
    return x * gate(x);
  }
  template <class T>
  static T derivative(T x) {
    const T e = math::exp(T(-2 * kScale) * (x + T(kCubic) * x * x * x));
    const T s = T(1) / (T(1) + e);
    const T slope = T(2 * kScale) * (T(1) + T(3 * kCubic) * x * x);
    return s + x * s * math::complement(s, e) * slope;
  }

 private:
  template <class T>
  static T gate(T x) {
    return T(1) / (T(1) + math::exp(T(-2 * kScale) * (x + T(kCubic) * x * x * x)));
  }
  static constexpr double kScale = 0.79788456080286535588;  // sqrt(2 / pi)
  static constexpr double kCubic = 0.044715;
};

}  // namespace lathe::kernels::activation
