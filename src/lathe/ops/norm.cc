#include "lathe/ops/norm.h"

#include <array>

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

Kernels::LayerGradients targets(const GradientTarget& dx, const GradientTarget& dw,
                                const GradientTarget& db) {
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
    const GradientTarget dx = target_or_scratch(g, x, input), dw = target_or_none(g, w),
                         db = target_or_none(g, b);
    k.rms_norm_backward(as_rows(input), weight.view(), rstd, dy, targets(dx, dw, db));
  };
  return record(
      "rms_norm", compute(x.value), {&x, &w, &b}, std::move(backward),
      {.recompute = [compute, saved = save(x)](Gradients& g) { return compute(g.value(saved)); }});
}

namespace {

// Layer norm and CRMS norm: two numbers of each row are saved.
using Forward = void (*)(const TensorView& x, const TensorView& w, const TensorView& b,
                         const TensorView& y, const TensorView& first, const TensorView& rstd,
                         double eps);
using Backward = void (*)(const TensorView& x, const TensorView& w, const TensorView& first,
                          const TensorView& rstd, const TensorView& dy,
                          const Kernels::LayerGradients& out);
struct Norm {
  const char* name;
  Forward forward;
  Backward backward;
};

Var with_two_statistics(const Norm& norm, const std::array<const Var*, 3>& xwb, double eps) {
  const auto& [x, w, b] = xwb;
  check(norm.name, *x, *w, *b);
  const Tensor first = per_row(x->value), rstd = per_row(x->value);
  auto compute = [norm, first, rstd, w = w->value, b = b->value, eps](const Tensor& input) {
    Tensor y(input.shape(), input.dtype(), input.device());
    norm.forward(as_rows(input), w.view(), b.view(), as_rows(y), first, rstd, eps);
    return y;
  };
  auto backward = [norm, x = x->ref(), w = w->ref(), b = b->ref(), saved = save(*x),
                   weight = w->value, first, rstd](Gradients& g) {
    const Tensor input = g.value(saved);
    const Tensor dy = as_rows(g.of_output());
    const GradientTarget dx = target_or_scratch(g, x, input), dw = target_or_none(g, w),
                         db = target_or_none(g, b);
    norm.backward(as_rows(input), weight.view(), first, rstd, dy, targets(dx, dw, db));
  };
  return record(
      norm.name, compute(x->value), {x, w, b}, std::move(backward),
      {.recompute = [compute, saved = save(*x)](Gradients& g) { return compute(g.value(saved)); }});
}

}  // namespace

Var layer_norm(const Var& x, const Var& w, const Var& b, double eps) {
  const auto& k = kernels_of(x.value);
  return with_two_statistics({"layer_norm", k.layer_norm, k.layer_norm_backward}, {&x, &w, &b},
                             eps);
}

Var crms_norm(const Var& x, const Var& w, const Var& b, double eps) {
  const auto& k = kernels_of(x.value);
  return with_two_statistics({"crms_norm", k.crms_norm, k.crms_norm_backward}, {&x, &w, &b}, eps);
}

}  // namespace lathe::ops
