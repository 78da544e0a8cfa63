// The routed experts of one layer: their matrices are stacked, and each range of rows has its own
// product.
#pragma once

#include <optional>
#include <vector>

#include "lathe/nn/ffn/ffn.h"
#include "lathe/ops/moe_plan.h"

namespace lathe {

// E dense layers of equal shape, each [outputs, inputs] itself a stack of `parts`.
class ExpertLinear : public Module {
 public:
  struct Options {
    int64_t experts = 0, inputs = 0;
    std::vector<int64_t> parts;  // rows of the matrices of one expert
    bool bias = false;
    double init_std = 0.02;
  };
  explicit ExpertLinear(const Options& options);

  Var forward(const Forward& f, const Var& x, const ops::ExpertPlan& plan) const;  // [R,I] -> [R,O]

  std::string_view kind() const override { return "ExpertLinear"; }
  void visit(ModuleVisitor& v) override;

 private:
  Parameter weight_;               // [E·O, I]
  std::optional<Parameter> bias_;  // [E·O]
};

class Experts : public Module {
 public:
  // intermediate_size of `options` is the width of one expert.
  Experts(int64_t experts, bool gated, const FeedForwardShape& options);

  Var forward(const Forward& f, const Var& x, const ops::ExpertPlan& plan) const;  // [R,C] -> [R,C]

  std::string_view kind() const override { return "Experts"; }
  void visit(ModuleVisitor& v) override;

 private:
  bool gated_;
  kernels::ActivationId activation_;
  ExpertLinear up_, down_;
};

}  // namespace lathe
