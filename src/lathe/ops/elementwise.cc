#include "lathe/ops/elementwise.h"

#include "lathe/ops/common.h"

namespace lathe::ops {

Var add(const Var& a, const Var& b) {
  require_shape("add", "second operand", b.value, a.shape());
  require_dtype("add", "second operand", b.value, a.value.dtype());
  Tensor out(a.shape(), a.value.dtype(), a.value.device());
  kernels_of(out).add(a.value, b.value, out);
  return record("add", out, {&a, &b}, [a = a.ref(), b = b.ref()](Gradients& g) {
    g.add(a, g.of_output());
    g.add(b, g.of_output());
  });
}

Var scale(const Var& x, double alpha) {
  if (alpha == 1.0) return x;
  const auto& k = kernels_of(x.value);
  Tensor out(x.shape(), x.value.dtype(), x.value.device());
  k.scale(alpha, x.value, out);
  return record("scale", out, {&x}, [x = x.ref(), alpha, &k](Gradients& g) {
    const Tensor& dy = g.of_output();
    Tensor dx(dy.shape(), dy.dtype(), dy.device());
    k.scale(alpha, dy, dx);
    g.add(x, dx);
  });
}

Var shift(const Var& x, double alpha) {
  const Tensor out = x.value.clone();
  visit_floating(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (T& element : out.span<T>())
      element = from_double<T>(static_cast<double>(to_float(element)) + alpha);
  });
  return record("shift", out, {&x}, [x = x.ref()](Gradients& g) { g.add(x, g.of_output()); });
}

Var contiguous(const Var& x) {
  if (x.value.contiguous()) return x;
  return record("contiguous", x.value.clone(), {&x},
                [x = x.ref()](Gradients& g) { g.add(x, g.of_output()); });
}

Var soft_cap(const Var& x, double cap) {
  if (cap == 0.0) return x;
  return scale(activation(kernels::find_activation("tanh"), scale(x, 1.0 / cap)), cap);
}

Var activation(kernels::ActivationId f, const Var& x) {
  const auto& k = kernels_of(x.value);
  auto compute = [f, &k](const Tensor& input) {
    Tensor y(input.shape(), input.dtype(), input.device());
    k.activation(f, as_rows(input), as_rows(y));
    return y;
  };
  auto backward = [f, x = x.ref(), saved = save(x), &k](Gradients& g) mutable {
    const Tensor input = g.last_value(saved), dx = over(input);
    k.activation_backward(f, as_rows(input), as_rows(g.of_output()), as_rows(dx));
    g.add(x, dx);
  };
  return record(
      "activation", compute(x.value), {&x}, std::move(backward),
      {.recompute = [compute, saved = save(x)](Gradients& g) { return compute(g.value(saved)); }});
}

Var gated(kernels::ActivationId f, const Var& x) {
  require(x.shape()[-1] % 2 == 0, ErrorKind::kShape, "gated", "last dimension of {} is not even",
          x.shape());
  const auto& k = kernels_of(x.value);
  auto compute = [f, &k](const Tensor& input) {
    Tensor y(input.shape().with(-1, input.size(-1) / 2), input.dtype(), input.device());
    k.gated(f, as_rows(input), as_rows(y));
    return y;
  };
  auto backward = [f, x = x.ref(), saved = save(x), &k](Gradients& g) mutable {
    const Tensor input = g.last_value(saved), dx = over(input);
    k.gated_backward(f, as_rows(input), as_rows(g.of_output()), as_rows(dx));
    g.add(x, dx);
  };
  return record(
      "gated", compute(x.value), {&x}, std::move(backward),
      {.recompute = [compute, saved = save(x)](Gradients& g) { return compute(g.value(saved)); }});
}

Var dropout(const Var& x, double p, const Rng& rng) {
  require(p >= 0.0 && p < 1.0, ErrorKind::kShape, "dropout", "probability {} is not in [0, 1)", p);
  if (p == 0.0) return x;
  const auto& k = kernels_of(x.value);
  const uint64_t key = rng.key();
  Tensor out(x.shape(), x.value.dtype(), x.value.device());
  k.dropout(x.value, out, p, key);
  return record("dropout", out, {&x}, [x = x.ref(), p, key, &k](Gradients& g) {
    const Tensor& dy = g.of_output();
    Tensor dx(dy.shape(), dy.dtype(), dy.device());
    k.dropout(dy, dx, p, key);
    g.add(x, dx);
  });
}

}  // namespace lathe::ops
