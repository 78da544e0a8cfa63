#pragma once

#include <string_view>

#include "lathe/kernels/activation/math.h"

namespace lathe::kernels::activation {

struct Relu {
  static constexpr std::string_view kName = "relu";
  static constexpr std::string_view kFormula = "max(x, 0)";
  static constexpr std::string_view kSource = "Nair & Hinton 2010";

  template <class T>
  static T value(T x) {
    return x > T(0) ? x : T(0);
  }
  template <class T>
  static T derivative(T x) {
    return x > T(0) ? T(1) : T(0);
  }
};

}  // namespace lathe::kernels::activation
