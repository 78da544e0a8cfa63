#include "kernels/differences.h"

namespace lathe::kernels::testing {
namespace {

using Views = std::vector<TensorView>;

struct Variant {
  std::string name;
  int64_t batch, outputs, inputs, width;
  ConvSpec spec;
  bool segments = false, bias = true;
  Write write = Write::kOverwrite;
};

std::vector<Variant> variants() {
  const ConvSpec three{.taps = 3}, five{.taps = 5}, one{.taps = 1};
  const ConvSpec grid{.taps = 9, .grid_height = 3, .grid_width = 4, .kernel_size = 3};
  const ConvSpec line{.taps = 25, .grid_height = 1, .grid_width = 7, .kernel_size = 5};
  return {{"causal", 2, 7, 7, 17, three},
          {"no_bias", 1, 4, 4, 5, three, false, false, Write::kAccumulate},
          {"documents", 2, 9, 9, 33, three, true, true, Write::kAccumulate},
          {"one_tap", 1, 3, 3, 1, one},
          {"decoding", 2, 1, 5, 70, five},
          {"decoding_documents", 1, 2, 5, 8, five, true},
          {"empty", 0, 3, 3, 8, three},
          {"grid", 2, 12, 12, 19, grid, false, true, Write::kAccumulate},
          {"grid_of_documents", 1, 12, 12, 6, grid, true},
          {"grid_of_one_row", 1, 7, 7, 65, line, false, false},
          {"large", 2, 150, 152, 300, three},
          {"large_grid",
           1,
           480,
           480,
           130,
           {.taps = 9, .grid_height = 20, .grid_width = 24, .kernel_size = 3}}};
}

// Operands 0 and 1 are the segments of outputs and inputs, in runs of three tokens.
ConvSpec spec_with(const Variant& v, const Views& views) {
  ConvSpec spec = v.spec;
  if (v.segments) {
    spec.output_segments = views[0];
    spec.input_segments = views[1];
  }
  return spec;
}
std::vector<Spec> segment_operands(const Variant& v) {
  const auto runs = [](int64_t tokens, int64_t hidden) {
    return [=](int64_t i, double) { return static_cast<double>((i % tokens + hidden) / 3); };
  };
  const Spec outputs{.shape = {v.batch, v.outputs},
                     .kind = Kind::kIndex,
                     .fill = runs(std::max<int64_t>(1, v.outputs), v.inputs - v.outputs)};
  const Spec inputs{.shape = {v.batch, v.inputs},
                    .kind = Kind::kIndex,
                    .fill = runs(std::max<int64_t>(1, v.inputs), 0)};
  return {outputs, inputs};
}

std::vector<Case> forward_cases() {
  std::vector<Case> all;
  for (const Variant& v : variants())
    for (const Kind kind : {Kind::kActivation, Kind::kFloat}) {
      Case& c = all.emplace_back();
      c.name = v.name + (kind == Kind::kFloat ? "_float_weight" : "");
      c.operands = segment_operands(v);
      c.operands.push_back({{v.batch, v.inputs, v.width}});
      c.operands.push_back({{v.spec.taps, v.width}, Role::kIn, kind});
      c.operands.push_back({{v.width}, Role::kIn, kind});
      c.operands.push_back({{v.batch, v.outputs, v.width}, Role::kOut});
      c.call = [v](const Kernels& k, const Views& o) {
        k.depthwise_conv(o[2], o[3], v.bias ? o[4] : TensorView{}, o[5], spec_with(v, o));
      };
    }
  return all;
}
LATHE_KERNEL_SUITE(DepthwiseConvKernel, forward_cases());

std::vector<Case> backward_cases() {
  std::vector<Case> all;
  for (const Variant& v : variants()) {
    const Role role = v.write == Write::kAccumulate ? Role::kInOut : Role::kOut;
    Case& c = all.emplace_back();
    c.name = v.name;
    c.operands = segment_operands(v);
    c.operands.push_back({{v.batch, v.inputs, v.width}});
    c.operands.push_back({{v.spec.taps, v.width}});
    c.operands.push_back({{v.batch, v.outputs, v.width}});
    c.operands.push_back({{v.batch, v.inputs, v.width}, role});
    c.operands.push_back({{v.spec.taps, v.width}, role, Kind::kFloat});
    // An absent gradient is still an operand here: it must stay as it was.
    c.operands.push_back({{v.width}, v.bias ? role : Role::kIn, Kind::kFloat});
    c.call = [v](const Kernels& k, const Views& o) {
      k.depthwise_conv_backward(
          o[2], o[3], o[4], spec_with(v, o),
          {o[5], v.write, o[6], v.bias ? o[7] : TensorView{}, v.write, v.write});
    };
  }
  return all;
}
LATHE_KERNEL_SUITE(DepthwiseConvBackwardKernel, backward_cases());

TEST(DepthwiseConvGradient, EqualsDifferences) {
  for (const Variant& v : variants()) {
    if (v.batch * v.outputs * v.width > 400) continue;
    SCOPED_TRACE(v.name);
    const Shape in{v.batch, v.inputs, v.width}, out{v.batch, v.outputs, v.width};
    const Tensor x = random(in, "x"), w = random({v.spec.taps, v.width}, "w"),
                 b = random({v.width}, "b"), y = zeros(out), dy = random(out, "dy");
    const Tensor dx = zeros(in), dw = zeros(w.shape()), db = zeros(b.shape());
    kernels().depthwise_conv_backward(
        x, w, dy, v.spec, {dx, Write::kOverwrite, dw, db, Write::kOverwrite, Write::kOverwrite});
    const auto loss = [&] {
      kernels().depthwise_conv(x, w, b, y, v.spec);
      return dot(y, dy);
    };
    check_gradient("x", x, dx, loss);
    check_gradient("w", w, dw, loss);
    check_gradient("b", b, db, loss);
  }
}

// The definition, on numbers small enough to check by hand.
TEST(DepthwiseConv, ReadsTheTokensThatItSays) {
  const auto of = [](std::vector<double> values, const Shape& shape) {
    return Tensor::of<double>(values, shape);
  };
  const Tensor y = zeros({1, 4, 1});
  kernels().depthwise_conv(of({1, 2, 3, 4}, {1, 4, 1}), of({100, 10, 1}, {3, 1}), TensorView{}, y,
                           {.taps = 3});
  EXPECT_EQ(y.to_vector(), (std::vector<double>{1, 12, 123, 234}));
  // 1 2   Every token sees all four of the grid: each through another corner of the kernel.
  // 3 4
  kernels().depthwise_conv(of({1, 2, 3, 4}, {1, 4, 1}), of({1, 0, 0, 0, 10, 0, 0, 0, 100}, {9, 1}),
                           of({0.5}, {1}), y,
                           {.taps = 9, .grid_height = 2, .grid_width = 2, .kernel_size = 3});
  EXPECT_EQ(y.to_vector(), (std::vector<double>{410.5, 20.5, 30.5, 41.5}));
}

}  // namespace
}  // namespace lathe::kernels::testing
