#pragma once

#include <string_view>

#include "lathe/kernels/activation/math.h"

namespace lathe::kernels::activation {

// No activation; with ffn.kind = "gated" it makes the bilinear layer.
struct Identity {
  static constexpr std::string_view kName = "identity";
  static constexpr std::string_view kFormula = "x";
  static constexpr std::string_view kSource = "Shazeer 2020, arXiv:2002.05202";

  template <class T>
  static T value(T x) {
    return x;
  }
  template <class T>
  static T derivative(T) {
    return T(1);
  }
};

}  // namespace lathe::kernels::activation
