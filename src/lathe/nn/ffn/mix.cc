// Mix-FFN: a depth-wise convolution between the two linear layers lets tokens look at their
// neighbours, which in SegFormer replaced position embeddings. Order as there: the activation
// follows the convolution, which has a bias where the linear layers have one.
//
// For text the convolution is causal: a token sees itself and the conv_width - 1 before it in its
// own document. While decoding the cache keeps what the convolution read of those.

#include <cmath>

#include "lathe/nn/attention/cache.h"
#include "lathe/nn/ffn/ffn.h"
#include "lathe/nn/linear.h"
#include "lathe/ops/depthwise_conv.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

struct MixConfig {
  std::string conv = "causal";
  int64_t conv_width = 3;
  std::optional<int64_t> grid_height, grid_width;

  bool on_grid() const { return conv == "grid"; }
  int64_t taps() const { return on_grid() ? 9 : conv_width; }
  void visit(Visitor& v) {
    v.choice("conv", conv, {"causal", "grid"},
             "mix: convolve over the tokens before, or over the 3 × 3 tokens around on a grid");
    v.field("conv_width", conv_width,
            "mix, causal: tokens that a token sees through the convolution, itself included",
            between(1, 64));
    v.field("grid_height", grid_height, "mix, grid: rows of tokens", at_least(1));
    v.field("grid_width", grid_width, "mix, grid: tokens in a row", at_least(1));
  }
  void resolve(const FeedForwardShape&) {
    if (on_grid()) {
      conv_width = MixConfig().conv_width;
    } else {
      grid_height.reset();
      grid_width.reset();
    }
  }
  void check(const FeedForwardShape& shape, const KeyErrors& keys) const {
    if (!on_grid()) return;
    for (const auto& [key, size] :
         {std::pair{"grid_height", grid_height}, {"grid_width", grid_width}})
      if (!size)
        keys.refuse(key, "ffn.conv = \"grid\" places the tokens on a grid; set its size, e.g. 16");
    if (shape.causal)
      keys.refuse(
          "conv",
          fmt::format("a convolution on a grid lets a token see those that come after it, which "
                      "body = \"{}\" must not see; use \"causal\", or body = \"encoder\"",
                      shape.body));
  }
};

// A kernel that keeps the variance of its input through ReLU, as SegFormer's does.
Parameter make_kernel(int64_t taps, int64_t width) {
  Parameter p({taps, width},
              {Initializer::Kind::kNormal, std::sqrt(2.0 / static_cast<double>(taps))});
  p.is_table = true;  // a row of numbers for each tap, no matrix for Muon
  return p;
}

class MixFeedForward : public FeedForward {
 public:
  MixFeedForward(const FeedForwardShape& s, const MixConfig& config)
      : activation_(s.activation),
        layer_(s.layer),
        conv_(config),
        up_(s.hidden_size, s.intermediate_size, s.bias, s.init_std),
        down_(s.intermediate_size, s.hidden_size, s.bias, s.output_init_std),
        kernel_(make_kernel(config.taps(), s.intermediate_size)) {
    if (s.bias)
      kernel_bias_.emplace(Shape{s.intermediate_size}, Initializer{Initializer::Kind::kZeros, 0});
  }
  static FeedForwardTraits traits(const FeedForwardShape& s, const MixConfig&) {
    return {.default_width = 4 * s.hidden_size, .kept = 2};
  }

  Var forward(const Forward& f, const Var& x) const override {
    const Var h = convolve(f, up_.forward(f, x));
    return down_.forward(f, ops::activation(activation_, h));
  }
  std::string_view kind() const override { return "MixFFN"; }
  void visit(ModuleVisitor& v) override {
    v.child("up", up_);
    v.parameter("kernel", kernel_);
    if (kernel_bias_) v.parameter("kernel_bias", *kernel_bias_);
    v.child("down", down_);
  }

 private:
  Var convolve(const Forward& f, const Var& x) const {
    const ops::KeyValues inputs = recent_inputs(f, x);
    ops::DepthwiseConv conv{.outputs = f.rows->sequences,
                            .inputs = inputs.keys,
                            .grid_height = conv_.on_grid() ? *conv_.grid_height : 0,
                            .grid_width = conv_.on_grid() ? *conv_.grid_width : 0};
    conv.segments.query = f.rows->segments;
    if (conv.segments.query.defined()) conv.segments.key = segments_of(*f.rows, inputs.keys);
    return ops::depthwise_conv(inputs.k, f.use(kernel_),
                               kernel_bias_ ? f.use(*kernel_bias_) : Var(), conv);
  }

  // x, behind what the cache holds of the tokens before.
  ops::KeyValues recent_inputs(const Forward& f, const Var& x) const {
    if (f.pass->cache == nullptr) return ops::KeyValues::packed(x, Var(), f.rows->sequences);
    const CacheLayer place{
        .kind = CacheLayer::Kind::kRecent, .index = layer_, .reach = conv_.conv_width - 1};
    f.pass->cache->write(place, *f.rows, x.value, Tensor());
    return f.pass->cache->view(place, *f.rows);
  }

  // Of the last tokens of each sequence, as many as there are inputs.
  static Tensor segments_of(const Rows& rows, const Sequences& inputs) {
    if (!rows.key_segments.defined()) return rows.segments;
    const Sequences keys = rows.keys();
    Tensor out({inputs.rows()}, DType::kI32);
    for (int64_t b = 0; b < inputs.count(); ++b)
      out.narrow(0, inputs.first(b), inputs.length(b))
          .copy_from(
              rows.key_segments.narrow(0, keys.first(b + 1) - inputs.length(b), inputs.length(b)));
    return out;
  }

  kernels::ActivationId activation_;
  int64_t layer_;
  MixConfig conv_;
  Linear up_, down_;
  Parameter kernel_;  // [taps, F]
  std::optional<Parameter> kernel_bias_;
};

}  // namespace

FeedForwardComponent mix_feed_forward() {
  return feed_forward_component<MixFeedForward, MixConfig>(
      {.name = "mix",
       .summary =
           "down(f(conv(up(x)))), a depth-wise convolution over neighbouring tokens (Mix-FFN)",
       .source = "Xie et al. 2021, arXiv:2105.15203"});
}

}  // namespace lathe
