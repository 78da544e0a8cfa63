#include "lathe/ops/moe.h"

#include <algorithm>
#include <numeric>

#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

using kernels::Write;

Tensor rows_of_gradient(const Tensor& dy) { return as_rows(dy.contiguous() ? dy : dy.clone()); }

// The gate of each row; of a row of zeros, 0.
Tensor scales_of_rows(const Tensor& gates, const ExpertPlan& plan) {
  Tensor scales({plan.rows()}, gates.dtype(), gates.device());
  visit_floating(gates.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto from = gates.span<T>();
    const auto slots = plan.slot_of_row.span<int32_t>();
    std::ranges::transform(slots, scales.data<T>(), [&](int32_t slot) {
      return slot < 0 ? T{} : from[static_cast<size_t>(slot)];
    });
  });
  return scales;
}

// The other way: per-row values to their slots, zero where a slot was dropped.
Tensor slots_of_rows(const Tensor& values, const ExpertPlan& plan, const Shape& shape) {
  const Tensor out = Tensor::zeros(shape, values.dtype(), values.device());
  visit_floating(values.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto slots = plan.slot_of_row.span<int32_t>();
    for (size_t r = 0; r < slots.size(); ++r)
      if (slots[r] >= 0) out.data<T>()[slots[r]] = values.data<T>()[r];
  });
  return out;
}

void check_rows(std::string_view op, const Tensor& x, const ExpertPlan& plan) {
  require(x.rank() == 2 && x.size(0) == plan.rows(), ErrorKind::kShape, op,
          "x is {}, the plan has {} rows", x.shape(), plan.rows());
}

void check_gates(std::string_view op, const Tensor& h, const Tensor& gates, int64_t expected) {
  require_dtype(op, "gates", gates, accumulation_type(h.dtype()));
  require(gates.numel() == expected, ErrorKind::kShape, op, "{} gates, expected {}", gates.numel(),
          expected);
}

// f(expert, first row, rows) for each expert that has rows.
template <class F>
void for_each_expert(const ExpertPlan& plan, F&& f) {
  for (int64_t e = 0; e < plan.experts(); ++e) {
    const int64_t first = plan.begin[static_cast<size_t>(e)];
    const int64_t rows = plan.begin[static_cast<size_t>(e) + 1] - first;
    if (rows > 0) f(e, first, rows);
  }
}

// Of grouped products; checks what they are given.
int64_t outputs_of_one(std::string_view op, const Var& x, const Shape& w, const Var& b,
                       const ExpertPlan& plan) {
  check_rows(op, x.value, plan);
  require(w.rank() == 2 && w[1] == x.shape()[1] && w[0] > 0 && w[0] % plan.experts() == 0,
          ErrorKind::kShape, op, "x {} does not fit a weight {} of {} experts", x.shape(), w,
          plan.experts());
  if (b.defined()) require_shape(op, "bias", b.value, {w[0]});
  return w[0] / plan.experts();
}

Tensor bias_of_one(const Var& b, int64_t expert, int64_t outputs) {
  return b.defined() ? b.value.narrow(0, expert * outputs, outputs) : Tensor();
}

void weight_gradient(const Tensor& dy, const Tensor& x, const ExpertPlan& plan,
                     const GradientTarget& dw) {
  const int64_t outputs = dy.size(1);
  const auto& k = kernels_of(x);
  for (int64_t e = 0; e < plan.experts(); ++e)
    if (plan.count[static_cast<size_t>(e)] == 0 && dw.write == Write::kOverwrite)
      dw.target.narrow(0, e * outputs, outputs).fill_zero();
  for_each_expert(plan, [&](int64_t e, int64_t first, int64_t rows) {
    k.matmul(dy.narrow(0, first, rows).transpose(0, 1), x.narrow(0, first, rows), TensorView(),
             dw.target.narrow(0, e * outputs, outputs), dw.write);
  });
}

void bias_gradient(const Tensor& dy, const ExpertPlan& plan, const GradientTarget& db) {
  const int64_t outputs = dy.size(1);
  if (db.write == Write::kOverwrite) db.target.fill_zero();
  for_each_expert(plan, [&](int64_t e, int64_t first, int64_t rows) {
    kernels_of(dy).sum_rows(dy.narrow(0, first, rows), db.target.narrow(0, e * outputs, outputs),
                            Write::kAccumulate);
  });
}

}  // namespace

Var permute(const Var& x, const ExpertPlan& plan) {
  const Tensor rows = as_rows(x.value);
  require(rows.size(0) == plan.tokens, ErrorKind::kShape, "permute",
          "x {} has {} tokens, the plan {}", x.shape(), rows.size(0), plan.tokens);
  const auto& k = kernels_of(x.value);
  auto compute = [index = plan.token_of_row, &k](const Tensor& input) {
    const Tensor source = as_rows(input);
    Tensor y({index.size(0), source.size(1)}, input.dtype(), input.device());
    k.gather_rows(source, index, TensorView(), y);
    return y;
  };
  auto backward = [x = x.ref(), begin = plan.token_begin, index = plan.token_rows,
                   &k](Gradients& g) {
    const GradientTarget dx = g.target(x);
    k.gather_sum(rows_of_gradient(g.of_output()), {begin, index}, TensorView(), as_rows(dx.target),
                 dx.write);
  };
  return record(
      "permute", compute(x.value), {&x}, std::move(backward),
      {.recompute = [compute, saved = save(x)](Gradients& g) { return compute(g.value(saved)); }});
}

Var grouped_linear(const Var& x, const Var& w, const Var& b, const ExpertPlan& plan) {
  constexpr std::string_view kOp = "grouped_linear";
  const int64_t outputs = outputs_of_one(kOp, x, w.shape(), b, plan);
  require_dtype(kOp, "weight", w.value, x.value.dtype());
  const auto& k = kernels_of(x.value);
  Tensor y({plan.rows(), outputs}, x.value.dtype(), x.value.device());
  const auto product = tape_of({&x, &w, &b}) != nullptr ? k.matmul : k.row_matmul;  // see linear.cc
  for_each_expert(plan, [&](int64_t e, int64_t first, int64_t rows) {
    product(x.value.narrow(0, first, rows), w.value.narrow(0, e * outputs, outputs).transpose(0, 1),
            bias_of_one(b, e, outputs).view(), y.narrow(0, first, rows), Write::kOverwrite);
  });
  auto backward = [x = x.ref(), w = w.ref(), b = b.ref(), saved = save(x), weight = w.value, plan,
                   outputs, &k](Gradients& g) {
    const Tensor dy = rows_of_gradient(g.of_output());
    if (x.needs_grad()) {
      const GradientTarget dx = g.target(x);
      for_each_expert(plan, [&](int64_t e, int64_t first, int64_t rows) {
        k.matmul(dy.narrow(0, first, rows), weight.narrow(0, e * outputs, outputs), TensorView(),
                 dx.target.narrow(0, first, rows), dx.write);
      });
    }
    if (w.needs_grad()) weight_gradient(dy, g.value(saved), plan, g.target(w));
    if (b.needs_grad()) bias_gradient(dy, plan, g.target(b));
  };
  return record(kOp, y, {&x, &w, &b}, std::move(backward));
}

Var grouped_packed_linear(const Var& x, const PackedMatrix& w, const Var& b,
                          const ExpertPlan& plan) {
  constexpr std::string_view kOp = "grouped_packed_linear";
  const int64_t outputs = outputs_of_one(kOp, x, w.shape(), b, plan);
  const DType type = x.value.dtype();
  const Tensor y({plan.rows(), outputs}, type, x.value.device());
  for_each_expert(plan, [&](int64_t e, int64_t first, int64_t rows) {
    y.narrow(0, first, rows)
        .copy_from(
            w.rows(e * outputs, outputs)
                ->product(x.value.narrow(0, first, rows), bias_of_one(b, e, outputs).view(), type));
  });
  auto backward = [x = x.ref(), b = b.ref(), shape = x.shape(), &w, plan, outputs](Gradients& g) {
    const Tensor dy = rows_of_gradient(g.of_output());
    if (x.needs_grad()) {
      const Tensor dx(shape, dy.dtype(), dy.device());
      for_each_expert(plan, [&](int64_t e, int64_t first, int64_t rows) {
        dx.narrow(0, first, rows)
            .copy_from(w.rows(e * outputs, outputs)->product_backward(dy.narrow(0, first, rows)));
      });
      g.add(x, dx);
    }
    if (b.needs_grad()) bias_gradient(dy, plan, g.target(b));
  };
  return record(kOp, y, {&x, &b}, std::move(backward));
}

Var combine(const Var& h, const Var& gates, const ExpertPlan& plan, const Shape& shape) {
  check_rows("combine", h.value, plan);
  check_gates("combine", h.value, gates.value, plan.slots);
  require(shape[-1] == h.shape()[1] && shape.numel() == plan.tokens * h.shape()[1],
          ErrorKind::kShape, "combine", "rows {} of {} tokens do not make {}", h.shape(),
          plan.tokens, shape);
  const auto& k = kernels_of(h.value);
  const Tensor scales = scales_of_rows(gates.value, plan);
  Tensor y(shape, h.value.dtype(), h.value.device());
  k.gather_sum(h.value, {plan.token_begin, plan.token_rows}, scales, as_rows(y), Write::kOverwrite);
  auto backward = [h = h.ref(), gates = gates.ref(), saved = save(h), scales, plan,
                   gate_shape = gates.shape(), &k](Gradients& g) {
    const Tensor dy = rows_of_gradient(g.of_output());
    if (gates.needs_grad()) {
      Tensor dots({plan.rows()}, scales.dtype(), scales.device());
      k.gather_dot(g.value(saved), dy, plan.token_of_row, dots);
      g.add(gates, slots_of_rows(dots, plan, gate_shape));
    }
    if (h.needs_grad()) {
      Tensor dh({plan.rows(), dy.size(1)}, dy.dtype(), dy.device());
      k.gather_rows(dy, plan.token_of_row, scales, dh);
      g.add(h, dh);
    }
  };
  return record("combine", y, {&h, &gates}, std::move(backward));
}

Var scale_rows(const Var& h, const Var& gates) {
  const Tensor rows = as_rows(h.value);
  check_gates("scale_rows", h.value, gates.value, rows.size(0));
  const auto& k = kernels_of(h.value);
  Tensor each({rows.size(0)}, DType::kI32);
  std::iota(each.data<int32_t>(), each.data<int32_t>() + rows.size(0), 0);
  const Tensor scales = gates.value.reshape({rows.size(0)});
  Tensor y(h.shape(), h.value.dtype(), h.value.device());
  k.gather_rows(rows, each, scales, as_rows(y));
  auto backward = [h = h.ref(), gates = gates.ref(), saved = save(h), scales, each,
                   shape = h.shape(), gate_shape = gates.shape(), &k](Gradients& g) {
    const Tensor dy = rows_of_gradient(g.of_output());
    if (gates.needs_grad()) {
      Tensor dots(scales.shape(), scales.dtype(), scales.device());
      k.gather_dot(as_rows(g.value(saved)), dy, each, dots);
      g.add(gates, dots.reshape(gate_shape));
    }
    if (h.needs_grad()) {
      Tensor dh(shape, dy.dtype(), dy.device());
      k.gather_rows(dy, each, scales, as_rows(dh));
      g.add(h, dh);
    }
  };
  return record("scale_rows", y, {&h, &gates}, std::move(backward));
}

}  // namespace lathe::ops
