#include "lathe/ops/elementwise.h"

#include <algorithm>
#include <cmath>

#include "lathe/base/parallel.h"
#include "lathe/ops/common.h"

namespace lathe::ops {

namespace {

Var add_to_rows(const Var& a, const Var& b) {
  const Tensor out = a.value.clone(), rows = as_rows(out);
  for (int64_t n = 0; n < rows.size(0); ++n)
    kernels_of(out).axpy(1.0, b.value, rows.narrow(0, n, 1).reshape(b.shape()));
  return record("add_to_rows", out, {&a, &b}, [a = a.ref(), b = b.ref()](Gradients& g) {
    const Tensor& dy = g.of_output();
    g.add(a, dy);
    if (!b.needs_grad()) return;
    const GradientTarget db = g.target(b);
    kernels_of(dy).sum_rows(as_rows(dy.contiguous() ? dy : dy.clone()), db.target, db.write);
  });
}

}  // namespace

Var add(const Var& a, const Var& b) {
  if (b.value.rank() == 1 && a.value.rank() > 1 && b.shape()[0] == a.shape()[-1])
    return add_to_rows(a, b);
  require_shape("add", "second operand", b.value, a.shape());
  require_dtype("add", "second operand", b.value, a.value.dtype());
  Tensor out(a.shape(), a.value.dtype(), a.value.device());
  kernels_of(out).add(a.value, b.value, out);
  return record("add", out, {&a, &b}, [a = a.ref(), b = b.ref()](Gradients& g) {
    g.add(a, g.of_output());
    g.add(b, g.of_output());
  });
}

namespace {

// out[i] = a[i] · b[i mod the number of elements of b], contiguous.
Tensor product_of(const Tensor& a, const Tensor& b) {
  const Tensor x = a.contiguous() ? a : a.clone(), y = b.contiguous() ? b : b.clone();
  Tensor out(a.shape(), a.dtype(), a.device());
  const int64_t columns = y.numel(), rows = columns == 0 ? 0 : x.numel() / columns;
  visit_floating(x.dtype(), [&](auto type_a) {
    visit_floating(y.dtype(), [&](auto type_b) {
      using A = typename decltype(type_a)::type;
      using B = typename decltype(type_b)::type;
      const A* from = x.data<A>();
      const B* factor = y.data<B>();
      A* to = out.data<A>();
      parallel_for(rows, std::max<int64_t>(1, (1 << 14) / columns), [&](int64_t n) {
        for (int64_t c = 0; c < columns; ++c)
          to[n * columns + c] =
              from_double<A>(to_float(from[n * columns + c]) * to_float(factor[c]));
      });
    });
  });
  return out;
}

}  // namespace

Var multiply(const Var& a, const Var& b) {
  const bool by_column = b.shape() != a.shape();
  require(!by_column || (b.value.rank() == 1 && b.shape()[0] == a.shape()[-1]), ErrorKind::kShape,
          "multiply", "{} cannot be multiplied with {}", a.shape(), b.shape());
  return record("multiply", product_of(a.value, b.value), {&a, &b},
                [a = a.ref(), b = b.ref(), x = b.needs_grad() ? a.value : Tensor(), y = b.value,
                 by_column](Gradients& g) {
                  const Tensor& dy = g.of_output();
                  if (a.needs_grad()) g.add(a, product_of(dy, y));
                  if (!b.needs_grad()) return;
                  const DType wide = accumulation_type(x.dtype());
                  const Tensor each = product_of(dy.to(wide), x.to(wide));
                  if (!by_column) return g.add(b, each.to(y.dtype()));
                  const Tensor sum(y.shape(), wide, y.device());
                  kernels_of(sum).sum_rows(as_rows(each), sum, kernels::Write::kOverwrite);
                  g.add(b, sum.to(y.dtype()));
                });
}

Var frobenius_norm(const Var& x) {
  const Tensor input = x.value.contiguous() ? x.value : x.value.clone();
  const double norm = std::sqrt(kernels_of(input).sum_squares(input));
  const Tensor out = Tensor::scalar(norm, accumulation_type(input.dtype()), input.device());
  return record("frobenius_norm", out, {&x}, [x = x.ref(), input, norm](Gradients& g) {
    Tensor dx(input.shape(), input.dtype(), input.device());
    kernels_of(dx).scale(norm == 0 ? 0.0 : g.of_output().item() / norm, input, dx);
    g.add(x, dx);
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
