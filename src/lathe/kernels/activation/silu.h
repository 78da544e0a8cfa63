#pragma once

#include <string_view>

#include "lathe/kernels/activation/math.h"

namespace lathe::kernels::activation {

// Also called Swish; with kind = "gated" it makes SwiGLU.
struct Silu {
  static constexpr std::string_view kName = "silu";
  static constexpr std::string_view kFormula = "x * sigmoid(x)";
  static constexpr std::string_view kSource = "Ramachandran et al. 2017, arXiv:1710.05941";

  template <class T>
  static T value(T x) {
    return x / (T(1) + math::exp(-x));
  }
  template <class T>
  static T derivative(T x) {
    const T e = math::exp(-x);
    const T s = T(1) / (T(1) + e);
    return s * (T(1) + x * math::complement(s, e));
  }
};

}  // namespace lathe::kernels::activation
