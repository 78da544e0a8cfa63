// A dense layer, y = x·Wᵀ + b.
#pragma once

#include <optional>

#include "lathe/nn/forward.h"
#include "lathe/nn/module.h"

namespace lathe {

class Linear : public Module {
 public:
  Linear(int64_t inputs, int64_t outputs, bool bias, double init_std);

  Var forward(const Forward& f, const Var& x) const;  // [.., inputs] -> [.., outputs]

  std::string_view kind() const override { return "Linear"; }
  void visit(ModuleVisitor& v) override;

  Parameter weight;               // [outputs, inputs]
  std::optional<Parameter> bias;  // [outputs]
};

}  // namespace lathe
