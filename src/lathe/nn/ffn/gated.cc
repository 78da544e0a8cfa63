// Gate and up projections are one matrix, stacked by rows, so that the input is read once.

#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/linear.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

class GatedMlp : public FeedForward {
 public:
  explicit GatedMlp(const FeedForwardShape& o)
      : activation_(o.activation),
        gate_up_(o.hidden_size, 2 * o.intermediate_size, o.bias, o.init_std),
        down_(o.intermediate_size, o.hidden_size, o.bias, o.output_init_std) {
    gate_up_.weight.parts = {o.intermediate_size, o.intermediate_size};
    if (gate_up_.bias) gate_up_.bias->parts = gate_up_.weight.parts;
  }

  static FeedForwardTraits traits(const FeedForwardShape& s, const NoConfig&) {
    return {.default_width = (s.hidden_size * 8 / 3 + 63) / 64 * 64,
            .gated = true,
            .expert = true,
            .kept = 2};
  }

  Var forward(const Forward& f, const Var& x) const override {
    return down_.forward(f, ops::gated(activation_, gate_up_.forward(f, x)));
  }
  std::string_view kind() const override { return "GatedMLP"; }
  void visit(ModuleVisitor& v) override {
    v.child("gate_up", gate_up_);
    v.child("down", down_);
  }

 private:
  kernels::ActivationId activation_;
  Linear gate_up_, down_;
};

}  // namespace

FeedForwardComponent gated_feed_forward() {
  return feed_forward_component<GatedMlp>(
      {.name = "gated",
       .summary = "down(f(gate(x)) · up(x)): SwiGLU with hidden_act = silu, GeGLU with gelu",
       .source = "Shazeer 2020, arXiv:2002.05202"});
}

}  // namespace lathe
