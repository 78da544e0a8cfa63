#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/linear.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

class Mlp : public FeedForward {
 public:
  explicit Mlp(const FeedForwardShape& o)
      : activation_(o.activation),
        up_(o.hidden_size, o.intermediate_size, o.bias, o.init_std),
        down_(o.intermediate_size, o.hidden_size, o.bias, o.output_init_std) {}

  static FeedForwardTraits traits(const FeedForwardShape& s, const NoConfig&) {
    return {.default_width = 4 * s.hidden_size, .expert = true};
  }

  Var forward(const Forward& f, const Var& x) const override {
    return down_.forward(f, ops::activation(activation_, up_.forward(f, x)));
  }
  std::string_view kind() const override { return "MLP"; }
  void visit(ModuleVisitor& v) override {
    v.child("up", up_);
    v.child("down", down_);
  }

 private:
  kernels::ActivationId activation_;
  Linear up_, down_;
};

}  // namespace

FeedForwardComponent mlp_feed_forward() {
  return feed_forward_component<Mlp>({.name = "mlp",
                                      .summary = "down(f(up(x)))",
                                      .source = "Vaswani et al. 2017, arXiv:1706.03762"});
}

}  // namespace lathe
