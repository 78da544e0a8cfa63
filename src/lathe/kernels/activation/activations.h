// The catalogue of activation functions. Each is one file with one struct: its name in recipes, the
// formula and the derivative, written once for scalar double (kernels/ref) and for vectorised float
// (kernels/cpu). To add one: write its file, include it here and add it to the list;
// docs/adding/activation.md.
#pragma once

#include <string_view>

#include "lathe/kernels/activation/activation_id.h"
#include "lathe/kernels/activation/gelu_erf.h"
#include "lathe/kernels/activation/gelu_tanh.h"
#include "lathe/kernels/activation/identity.h"
#include "lathe/kernels/activation/relu.h"
#include "lathe/kernels/activation/relu_squared.h"
#include "lathe/kernels/activation/sigmoid.h"
#include "lathe/kernels/activation/silu.h"
#include "lathe/kernels/activation/tanh.h"

namespace lathe::kernels {

template <class... A>
struct ActivationList {
  static constexpr std::string_view kNames[] = {A::kName...};
  static constexpr std::string_view kFormulas[] = {A::kFormula...};
  static constexpr std::string_view kSources[] = {A::kSource...};
  static constexpr int kCount = sizeof...(A);

  // f(Activation{}) for the activation number `id`; id < kCount.
  template <class F>
  static void visit(int id, F&& f) {
    int i = 0;
    static_cast<void>(((i++ == id ? (f(A{}), true) : false) || ...));
  }
};

using Activations = ActivationList<  //
    activation::GeluErf,             //
    activation::GeluTanh,            //
    activation::Identity,            //
    activation::Relu,                //
    activation::ReluSquared,         //
    activation::Sigmoid,             //
    activation::Silu,                //
    activation::Tanh>;

}  // namespace lathe::kernels
