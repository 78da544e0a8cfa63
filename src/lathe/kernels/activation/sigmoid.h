#pragma once

#include <string_view>

#include "lathe/kernels/activation/math.h"

namespace lathe::kernels::activation {

// With ffn.kind = "gated" it makes GLU.
struct Sigmoid {
  static constexpr std::string_view kName = "sigmoid";
  static constexpr std::string_view kFormula = "1 / (1 + exp(-x))";
  static constexpr std::string_view kSource = "Dauphin et al. 2016, arXiv:1612.08083";

  template <class T>
  static T value(T x) {
    return T(1) / (T(1) + math::exp(-x));
  }
  template <class T>
  static T derivative(T x) {
    const T e = math::exp(-x);
    const T s = T(1) / (T(1) + e);
    return s * math::complement(s, e);
  }
};

}  // namespace lathe::kernels::activation
