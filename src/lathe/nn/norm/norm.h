// Normalisation layers and their catalogue.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "lathe/config/component.h"
#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"

namespace lathe {

// What every norm is given.
struct NormShape {
  int64_t width = 0;
  double eps = 1e-5;
  bool bias = false;
};

class Norm : public Module {
 public:
  virtual Var forward(const Forward& f, const Var& x) const = 0;  // [.., C] -> [.., C]
};

using NormComponent = Component<Norm, NormShape>;
std::span<const NormComponent> norms();

template <class Class, class Config = NoConfig>
NormComponent norm_component(const ComponentText& text) {
  return component<Norm, NormShape, Class, Config>(text);
}

// Makes norms of the chosen kind.
using MakeNorm = std::function<std::unique_ptr<Norm>(const NormShape&)>;

}  // namespace lathe
