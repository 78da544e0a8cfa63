// Gate and up projections are one matrix, stacked by rows, so that the input is read once.

#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/linear.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

class GatedMlp : public FeedForward {
 public:
  explicit GatedMlp(const FeedForwardOptions& o)
      : activation_(o.activation),
        gate_up_(o.hidden_size, 2 * o.intermediate_size, o.bias, o.init_std),
        down_(o.intermediate_size, o.hidden_size, o.bias, o.output_init_std) {
    gate_up_.weight.parts = {o.intermediate_size, o.intermediate_size};
    if (gate_up_.bias) gate_up_.bias->parts = gate_up_.weight.parts;
  }

  Var forward(const Forward& f, const Var& x) override {
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

std::unique_ptr<FeedForward> make_gated(const FeedForwardOptions& options) {
  return std::make_unique<GatedMlp>(options);
}

}  // namespace lathe
