#pragma once

#include <string_view>

#include "lathe/kernels/activation/math.h"

namespace lathe::kernels::activation {

// Soft caps use it as well.
struct Tanh {
  static constexpr std::string_view kName = "tanh";
  static constexpr std::string_view kFormula = "tanh(x)";
  static constexpr std::string_view kSource = "LeCun et al. 1998, Efficient BackProp";

  template <class T>
  static T value(T x) {
    return math::tanh(x);
  }
  // 1 - tanh² cancels for large x; in exponentials it does not: 4e/(1 + e)², e = exp(-2|x|).
  template <class T>
  static T derivative(T x) {
    const T e = math::exp(x < T(0) ? T(2) * x : T(-2) * x);
    const T d = T(1) + e;
    return T(4) * e / (d * d);
  }
};

}  // namespace lathe::kernels::activation
