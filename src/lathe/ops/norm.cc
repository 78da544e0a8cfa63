#include "lathe/ops/norm.h"

#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

using kernels::Kernels;

void check(std::string_view op, const Var& x, const Var& w, const Var& b) {
  if (w.defined()) require_shape(op, "weight", w.value, {x.shape()[-1]});
  if (b.defined()) require_shape(op, "bias", b.value, {x.shape()[-1]});
}

Tensor per_row(const Tensor& x) {
  return {Shape{x.numel() / x.size(-1)}, accumulation_type(x.dtype()), x.device()};
}

Kernels::NormGradients targets(const Sink& dx, const Sink& dw, const Sink& db) {
  return {as_rows(dx.target), dx.write, dw.target.view(), db.target.view(), dw.write, db.write};
}

}  // namespace

Var rms_norm(const Var& x, const Var& w, const Var& b, double eps) {
  check("rms_norm", x, w, b);
  const auto& k = kernels_of(x.value);
  const Tensor rstd = per_row(x.value);
  auto compute = [rstd, w = w.value, b = b.value, eps, &k](const Tensor& input) {
    Tensor y(input.shape(), input.dtype(), input.device());
    k.rms_norm(as_rows(input), w.view(), b.view(), as_rows(y), rstd, eps);
    return y;
  };
  auto backward = [x = x.ref(), w = w.ref(), b = b.ref(), saved = save(x), weight = w.value, rstd,
                   &k](Gradients& g) {
    const Tensor input = g.value(saved);
    const Tensor dy = as_rows(g.of_output());
    const Sink dx = sink_or_scratch(g, x, input), dw = sink_or_none(g, w), db = sink_or_none(g, b);
    k.rms_norm_backward(as_rows(input), weight.view(), rstd, dy, targets(dx, dw, db));
  };
  return record(
      "rms_norm", compute(x.value), {&x, &w, &b}, std::move(backward),
      {.recompute = [compute, saved = save(x)](Gradients& g) { return compute(g.value(saved)); }});
}

Var layer_norm(const Var& x, const Var& w, const Var& b, double eps) {
  check("layer_norm", x, w, b);
  const auto& k = kernels_of(x.value);
  const Tensor mean = per_row(x.value), rstd = per_row(x.value);
  auto compute = [mean, rstd, w = w.value, b = b.value, eps, &k](const Tensor& input) {
    Tensor y(input.shape(), input.dtype(), input.device());
    k.layer_norm(as_rows(input), w.view(), b.view(), as_rows(y), mean, rstd, eps);
    return y;
  };
  auto backward = [x = x.ref(), w = w.ref(), b = b.ref(), saved = save(x), weight = w.value, mean,
                   rstd, &k](Gradients& g) {
    const Tensor input = g.value(saved);
    const Tensor dy = as_rows(g.of_output());
    const Sink dx = sink_or_scratch(g, x, input), dw = sink_or_none(g, w), db = sink_or_none(g, b);
    k.layer_norm_backward(as_rows(input), weight.view(), mean, rstd, dy, targets(dx, dw, db));
  };
  return record(
      "layer_norm", compute(x.value), {&x, &w, &b}, std::move(backward),
      {.recompute = [compute, saved = save(x)](Gradients& g) { return compute(g.value(saved)); }});
}

}  // namespace lathe::ops
