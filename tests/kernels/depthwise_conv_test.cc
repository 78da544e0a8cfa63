#include "kernels/differences.h"
#include "kernels/every_table.h"

namespace lathe::kernels::testing {
namespace {

using Views = std::vector<TensorView>;

struct SequenceSizes {
  int64_t outputs, inputs;
};
using Sizes = std::vector<SequenceSizes>;
Sizes equal(size_t batch, int64_t outputs, int64_t inputs) {
  return Sizes(batch, {outputs, inputs});
}

struct Variant {
  std::string name;
  Sizes sequences;
  int64_t width;
  ConvSpec spec;
  bool segments = false, bias = true;
  Write write = Write::kOverwrite;

  int64_t batch() const { return static_cast<int64_t>(sequences.size()); }
  int64_t outputs() const { return offsets(&SequenceSizes::outputs).back(); }
  int64_t inputs() const { return offsets(&SequenceSizes::inputs).back(); }
  std::vector<int32_t> offsets(int64_t SequenceSizes::*member) const {
    std::vector<int32_t> all{0};
    for (const SequenceSizes& z : sequences)
      all.push_back(all.back() + static_cast<int32_t>(z.*member));
    return all;
  }
};

std::vector<Variant> variants() {
  const ConvSpec three{.taps = 3}, five{.taps = 5}, one{.taps = 1};
  const ConvSpec grid{.taps = 9, .grid_height = 3, .grid_width = 4, .kernel_size = 3};
  const ConvSpec line{.taps = 25, .grid_height = 1, .grid_width = 7, .kernel_size = 5};
  // Whole sequences, decoding, continuing, none of them, and inputs without outputs.
  const Sizes ragged = {{7, 7}, {1, 5}, {0, 0}, {3, 9}, {0, 4}, {1, 1}, {12, 12}};
  return {{"causal", equal(2, 7, 7), 17, three},
          {"no_bias", equal(1, 4, 4), 5, three, false, false, Write::kAccumulate},
          {"documents", equal(2, 9, 9), 33, three, true, true, Write::kAccumulate},
          {"one_tap", equal(1, 3, 3), 1, one},
          {"decoding", equal(2, 1, 5), 70, five},
          {"decoding_documents", equal(1, 2, 5), 8, five, true},
          {"empty", {}, 8, three},
          {"empty_sequences", equal(2, 0, 0), 8, three},
          {"ragged", ragged, 11, five},
          {"ragged_documents", ragged, 7, three, true, true, Write::kAccumulate},
          {"grid", equal(2, 12, 12), 19, grid, false, true, Write::kAccumulate},
          {"grid_of_documents", equal(1, 12, 12), 6, grid, true},
          {"grid_of_one_row", equal(1, 7, 7), 65, line, false, false},
          {"large", equal(2, 150, 152), 300, three},
          {"large_ragged", {{150, 152}, {1, 90}, {201, 201}, {33, 70}}, 300, three, true},
          {"large_grid",
           equal(1, 480, 480),
           130,
           {.taps = 9, .grid_height = 20, .grid_width = 24, .kernel_size = 3}}};
}

// In runs of three tokens of a sequence.
std::vector<int32_t> segments_of(const Sizes& sequences, int64_t SequenceSizes::*member) {
  std::vector<int32_t> ids;
  for (const SequenceSizes& z : sequences)
    for (int64_t s = z.inputs - z.*member; s < z.inputs; ++s)
      ids.push_back(static_cast<int32_t>(s / 3));
  return ids;
}

// Operands 0 and 1 are the offsets of outputs and inputs, 2 and 3 their segments.
ConvSpec spec_with(const Variant& v, const Views& views) {
  ConvSpec spec = v.spec;
  spec.outputs = views[0];
  spec.inputs = views[1];
  if (v.segments) {
    spec.output_segments = views[2];
    spec.input_segments = views[3];
  }
  return spec;
}
std::vector<Spec> index_operands(const Variant& v) {
  const auto of = [](const std::vector<int32_t>& values) {
    return Spec{.shape = {static_cast<int64_t>(values.size())},
                .kind = Kind::kIndex,
                .fill = [values](int64_t i, double) {
                  return static_cast<double>(values[static_cast<size_t>(i)]);
                }};
  };
  constexpr auto outputs = &SequenceSizes::outputs, inputs = &SequenceSizes::inputs;
  return {of(v.offsets(outputs)), of(v.offsets(inputs)), of(segments_of(v.sequences, outputs)),
          of(segments_of(v.sequences, inputs))};
}

std::vector<Case> forward_cases() {
  std::vector<Case> all;
  for (const Variant& v : variants())
    for (const Kind kind : {Kind::kActivation, Kind::kFloat}) {
      Case& c = all.emplace_back();
      c.name = v.name + (kind == Kind::kFloat ? "_float_weight" : "");
      c.operands = index_operands(v);
      c.operands.push_back({{v.inputs(), v.width}});
      c.operands.push_back({{v.spec.taps, v.width}, Role::kIn, kind});
      c.operands.push_back({{v.width}, Role::kIn, kind});
      c.operands.push_back({{v.outputs(), v.width}, Role::kOut});
      c.call = [v](const Kernels& k, const Views& o) {
        k.depthwise_conv(o[4], o[5], v.bias ? o[6] : TensorView{}, o[7], spec_with(v, o));
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
    c.operands = index_operands(v);
    c.operands.push_back({{v.inputs(), v.width}});
    c.operands.push_back({{v.spec.taps, v.width}});
    c.operands.push_back({{v.outputs(), v.width}});
    c.operands.push_back({{v.inputs(), v.width}, role});
    c.operands.push_back({{v.spec.taps, v.width}, role, Kind::kFloat});
    // An absent gradient is still an operand here: it must stay as it was.
    c.operands.push_back({{v.width}, v.bias ? role : Role::kIn, Kind::kFloat});
    c.call = [v](const Kernels& k, const Views& o) {
      k.depthwise_conv_backward(
          o[4], o[5], o[6], spec_with(v, o),
          {o[7], v.write, o[8], v.bias ? o[9] : TensorView{}, v.write, v.write});
    };
  }
  return all;
}
LATHE_KERNEL_SUITE(DepthwiseConvBackwardKernel, backward_cases());

// The index operands of a call outside of the harness.
struct Indices {
  explicit Indices(const Variant& v) {
    for (const Spec& spec : index_operands(v)) {
      std::vector<int32_t> values;
      for (int64_t i = 0; i < spec.shape.numel(); ++i)
        values.push_back(static_cast<int32_t>(spec.fill(i, 0)));
      tensors.push_back(Tensor::of<int32_t>(values, spec.shape));
    }
  }
  Views views() const { return {tensors[0], tensors[1], tensors[2], tensors[3]}; }
  std::vector<Tensor> tensors;
};

TEST(DepthwiseConvGradient, EqualsDifferences) {
  for (const Variant& v : variants()) {
    if (v.outputs() * v.width > 400) continue;
    SCOPED_TRACE(v.name);
    const Indices indices(v);
    const ConvSpec spec = spec_with(v, indices.views());
    const Shape in{v.inputs(), v.width}, out{v.outputs(), v.width};
    const Tensor x = random(in, "x"), w = random({v.spec.taps, v.width}, "w"),
                 b = random({v.width}, "b"), y = zeros(out), dy = random(out, "dy");
    const Tensor dx = zeros(in), dw = zeros(w.shape()), db = zeros(b.shape());
    kernels().depthwise_conv_backward(
        x, w, dy, spec, {dx, Write::kOverwrite, dw, db, Write::kOverwrite, Write::kOverwrite});
    const auto loss = [&] {
      kernels().depthwise_conv(x, w, b, y, spec);
      return dot(y, dy);
    };
    check_gradient("x", x, dx, loss);
    check_gradient("w", w, dw, loss);
    check_gradient("b", b, db, loss);
  }
}

// Forward and gradient of the inputs; those of weight and bias are sums over all sequences.
TEST(DepthwiseConvSequences, EqualOneCallForEach) {
  const auto only = [](const Tensor& dx) {
    return Kernels::LayerGradients{dx, Write::kOverwrite, {},
                                   {}, Write::kOverwrite, Write::kOverwrite};
  };
  for (const Variant& v : variants()) {
    if (v.batch() < 2) continue;
    SCOPED_TRACE(v.name);
    const Indices indices(v);
    on_every_table([&](const Kernels& table, DType dtype) {
      const Tensor x = random_tensor({v.inputs(), v.width}, "x", dtype),
                   w = random_tensor({v.spec.taps, v.width}, "w", dtype),
                   dy = random_tensor({v.outputs(), v.width}, "dy", dtype),
                   y = spoiled(dy.shape(), dtype), dx = spoiled(x.shape(), dtype);
      const ConvSpec spec = spec_with(v, indices.views());
      table.depthwise_conv(x, w, TensorView{}, y, spec);
      table.depthwise_conv_backward(x, w, dy, spec, only(dx));
      for (int64_t b = 0; b < v.batch(); ++b) {
        const ConvTaps taps(spec, b);
        const Range out = taps.outputs(), in = taps.inputs();
        const Variant alone{"", {v.sequences[static_cast<size_t>(b)]}, v.width, v.spec, v.segments};
        const Indices of_alone(alone);
        const ConvSpec one = spec_with(alone, of_alone.views());
        const Tensor mine = x.narrow(0, in.begin, in.size()),
                     y1 = spoiled({out.size(), v.width}, dtype), dx1 = spoiled(mine.shape(), dtype);
        table.depthwise_conv(mine, w, TensorView{}, y1, one);
        table.depthwise_conv_backward(mine, w, dy.narrow(0, out.begin, out.size()), one, only(dx1));
        EXPECT_EQ(part(y, 0, out.begin, out.size()), y1.to_vector()) << b;
        EXPECT_EQ(part(dx, 0, in.begin, in.size()), dx1.to_vector()) << b;
      }
    });
  }
}

// The definition, on numbers small enough to check by hand.
TEST(DepthwiseConv, ReadsTheTokensThatItSays) {
  const auto of = [](std::vector<double> values, const Shape& shape) {
    return Tensor::of<double>(values, shape);
  };
  const Tensor y = zeros({4, 1}), x = of({1, 2, 3, 4}, {4, 1});
  const Tensor one = Tensor::of<int32_t>(std::vector<int32_t>{0, 4}, {2}),
               two = Tensor::of<int32_t>(std::vector<int32_t>{0, 3, 4}, {3});
  kernels().depthwise_conv(x, of({100, 10, 1}, {3, 1}), TensorView{}, y,
                           {.taps = 3, .outputs = one, .inputs = one});
  EXPECT_EQ(y.to_vector(), (std::vector<double>{1, 12, 123, 234}));
  kernels().depthwise_conv(x, of({100, 10, 1}, {3, 1}), TensorView{}, y,
                           {.taps = 3, .outputs = two, .inputs = two});
  EXPECT_EQ(y.to_vector(), (std::vector<double>{1, 12, 123, 4}));
  // 1 2   Every token sees all four of the grid: each through another corner of the kernel.
  // 3 4
  kernels().depthwise_conv(x, of({1, 0, 0, 0, 10, 0, 0, 0, 100}, {9, 1}), of({0.5}, {1}), y,
                           {.taps = 9,
                            .grid_height = 2,
                            .grid_width = 2,
                            .kernel_size = 3,
                            .outputs = one,
                            .inputs = one});
  EXPECT_EQ(y.to_vector(), (std::vector<double>{410.5, 20.5, 30.5, 41.5}));
}

}  // namespace
}  // namespace lathe::kernels::testing
