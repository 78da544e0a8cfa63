#include "lathe/ops/depthwise_conv.h"

#include <cmath>

#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

constexpr std::string_view kName = "depthwise_conv";

kernels::ConvSpec spec_of(const Tensor& weight, const DepthwiseConv& conv) {
  kernels::ConvSpec spec;
  spec.taps = weight.size(0);
  spec.grid_height = conv.grid_height;
  spec.grid_width = conv.grid_width;
  if (conv.grid_height == 0) return spec;
  spec.kernel_size = std::llround(std::sqrt(static_cast<double>(spec.taps)));
  require(spec.kernel_size * spec.kernel_size == spec.taps && spec.kernel_size % 2 == 1,
          ErrorKind::kShape, kName, "{} taps are not the square of an odd number; use 1, 9, 25 …",
          spec.taps);
  for (int64_t b = 0; b < conv.inputs.count(); ++b)
    require(conv.grid_height * conv.grid_width == conv.inputs.length(b) &&
                conv.outputs.length(b) == conv.inputs.length(b),
            ErrorKind::kShape, kName, "{} tokens, but a grid of {} × {}; the numbers must be equal",
            conv.inputs.length(b), conv.grid_height, conv.grid_width);
  return spec;
}

void check(const Var& x, const Var& weight, const Var& bias, const DepthwiseConv& conv) {
  require(x.value.rank() == 2 && x.shape()[0] == conv.inputs.rows() &&
              conv.inputs.count() == conv.outputs.count(),
          ErrorKind::kShape, kName, "{} is not [{},F], the inputs of {} sequences", x.shape(),
          conv.inputs.rows(), conv.outputs.count());
  require(weight.value.rank() == 2 && weight.shape()[0] > 0 && weight.shape()[1] == x.shape()[1],
          ErrorKind::kShape, kName, "weight has shape {}, expected [taps, {}]", weight.shape(),
          x.shape()[1]);
  if (bias.defined()) require_shape(kName, "bias", bias.value, {x.shape()[1]});
  for (int64_t b = 0; b < conv.outputs.count(); ++b)
    require(conv.outputs.length(b) <= conv.inputs.length(b), ErrorKind::kShape, kName,
            "{} outputs of {} tokens", conv.outputs.length(b), conv.inputs.length(b));
  const auto& [output, input] = conv.segments;
  require(output.defined() == input.defined(), ErrorKind::kShape, kName,
          "segments are needed for both outputs and inputs; give both or none");
  if (!output.defined()) return;
  require_dtype(kName, "output segments", output, DType::kI32);
  require_dtype(kName, "input segments", input, DType::kI32);
  require_shape(kName, "output segments", output, {conv.outputs.rows()});
  require_shape(kName, "input segments", input, {conv.inputs.rows()});
}

}  // namespace

Var depthwise_conv(const Var& x, const Var& weight, const Var& bias, const DepthwiseConv& conv) {
  check(x, weight, bias, conv);
  const auto& k = kernels_of(x.value);
  const kernels::ConvSpec bare = spec_of(weight.value, conv);
  // The views live only as long as the tensors, which the closure keeps.
  auto spec = [bare, segments = conv.segments, outputs = conv.outputs, inputs = conv.inputs] {
    kernels::ConvSpec s = bare;
    s.outputs = outputs.offsets().view();
    s.inputs = inputs.offsets().view();
    s.output_segments = segments.query.view();
    s.input_segments = segments.key.view();
    return s;
  };
  Tensor y(x.shape().with(0, conv.outputs.rows()), x.value.dtype(), x.value.device());
  k.depthwise_conv(x.value, weight.value, bias.value.view(), y, spec());
  auto backward = [x = x.ref(), w = weight.ref(), b = bias.ref(), saved = save(x),
                   weight = weight.value, spec, &k](Gradients& g) {
    const Tensor input = g.value(saved);
    const Tensor& dy = g.of_output();
    const GradientTarget dx = target_or_scratch(g, x, input), dw = target_or_none(g, w),
                         db = target_or_none(g, b);
    k.depthwise_conv_backward(
        input, weight, dy, spec(),
        {dx.target, dx.write, dw.target.view(), db.target.view(), dw.write, db.write});
  };
  return record("depthwise_conv", y, {&x, &weight, &bias}, std::move(backward));
}

}  // namespace lathe::ops
