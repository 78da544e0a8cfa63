// Mix-FFN: a depth-wise convolution between the two linear layers lets tokens look at their
// neighbours, which in SegFormer replaced position embeddings. Order as there: the activation
// follows the convolution, which has a bias where the linear layers have one.
//
// For text the convolution is causal: a token sees itself and the conv_width - 1 before it in its
// own document. While decoding the cache keeps what the convolution read of those.

#include <cmath>

#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/linear.h"
#include "lathe/ops/depthwise_conv.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

// A kernel that keeps the variance of its input through ReLU, as SegFormer's does.
Parameter make_kernel(int64_t taps, int64_t width) {
  Parameter p({taps, width},
              {Initializer::Kind::kNormal, std::sqrt(2.0 / static_cast<double>(taps))});
  p.is_table = true;  // a row of numbers for each tap, no matrix for Muon
  return p;
}

class MixFeedForward : public FeedForward {
 public:
  explicit MixFeedForward(const FeedForwardOptions& o)
      : options_(o),
        up_(o.hidden_size, o.intermediate_size, o.bias, o.init_std),
        down_(o.intermediate_size, o.hidden_size, o.bias, o.output_init_std),
        kernel_(make_kernel(o.conv.taps(), o.intermediate_size)) {
    if (o.bias)
      kernel_bias_.emplace(Shape{o.intermediate_size}, Initializer{Initializer::Kind::kZeros, 0});
  }

  Var forward(const Forward& f, const Var& x) override {
    const Var h = convolve(f, up_.forward(f, x));
    return down_.forward(f, ops::activation(options_.activation, h));
  }
  std::string_view kind() const override { return "MixFFN"; }
  void visit(ModuleVisitor& v) override {
    v.child("up", up_);
    v.parameter("kernel", kernel_);
    if (kernel_bias_) v.parameter("kernel_bias", *kernel_bias_);
    v.child("down", down_);
  }

 private:
  Var convolve(const Forward& f, const Var& x) {
    ops::DepthwiseConv conv{.outputs = x.shape()[1],
                            .grid_height = options_.conv.grid_height,
                            .grid_width = options_.conv.grid_width,
                            .segments = f.segments};
    Var input = x;
    if (f.cache != nullptr)
      input = Var(f.cache->append_recent(options_.layer, x.value, options_.conv.width - 1));
    // Segments of the keys cover everything that the cache holds.
    Tensor& keys = conv.segments.key;
    const int64_t tokens = input.shape()[1];
    if (keys.defined()) keys = keys.narrow(1, keys.size(1) - tokens, tokens);
    return ops::depthwise_conv(input, f.use(kernel_), kernel_bias_ ? f.use(*kernel_bias_) : Var(),
                               conv);
  }

  FeedForwardOptions options_;
  Linear up_, down_;
  Parameter kernel_;  // [taps, F]
  std::optional<Parameter> kernel_bias_;
};

}  // namespace

std::unique_ptr<FeedForward> make_mix(const FeedForwardOptions& options) {
  return std::make_unique<MixFeedForward>(options);
}

}  // namespace lathe
