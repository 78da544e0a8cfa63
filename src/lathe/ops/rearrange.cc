#include "lathe/ops/rearrange.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

Tensor packed(const Tensor& t) { return t.contiguous() ? t : t.clone(); }

// [N, the rest] of a contiguous tensor.
Tensor flat_rows(const Tensor& t) {
  return t.reshape({t.size(0), t.size(0) == 0 ? 0 : t.numel() / t.size(0)});
}

// A view with its dimensions in another order, which Tensor builds from exchanges of two.
Tensor permuted(Tensor t, std::vector<int> dims) {
  for (int at = 0; at < static_cast<int>(dims.size()); ++at) {
    const int from = dims[static_cast<size_t>(at)];
    if (from == at) continue;
    t = t.transpose(at, from);
    // What stood at `at` stands at `from` now.
    for (size_t i = static_cast<size_t>(at) + 1; i < dims.size(); ++i)
      if (dims[i] == at) dims[i] = from;
  }
  return t;
}

void check_rows(std::string_view op, const Tensor& rows, int64_t limit) {
  require_dtype(op, "rows", rows, DType::kI32);
  for (const int32_t row : rows.span<int32_t>())
    require(row >= 0 && row < limit, ErrorKind::kShape, op, "row {} of {}", row, limit);
}

// to[rows[i]] = from[i], or to[i] = from[rows[i]].
void move_rows(const Tensor& from, const Tensor& to, const Tensor& rows, bool scatter) {
  const Tensor source = flat_rows(from), target = flat_rows(to);
  const int32_t* index = rows.data<int32_t>();
  for (int64_t i = 0; i < rows.numel(); ++i)
    (scatter ? target.narrow(0, index[i], 1) : target.narrow(0, i, 1))
        .copy_from(scatter ? source.narrow(0, i, 1) : source.narrow(0, index[i], 1));
}

void move_columns(const Tensor& from, const Tensor& to, const Tensor& order, bool scatter) {
  const int32_t* index = order.data<int32_t>();
  const int64_t columns = order.numel();
  visit_floating(from.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* source = from.data<T>();
    T* target = to.data<T>();
    parallel_for(from.size(0), std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(columns, 1)),
                 [&](int64_t n) {
                   for (int64_t i = 0; i < columns; ++i)
                     (scatter ? target[n * columns + index[i]] : target[n * columns + i]) =
                         scatter ? source[n * columns + i] : source[n * columns + index[i]];
                 });
  });
}

// block += z, both of one dtype; z is contiguous, the rows of the block are.
void add_rows(const Tensor& z, const Tensor& block) {
  const int64_t columns = z.size(1), stride = block.stride(0);
  visit_floating(z.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* from = z.data<T>();
    T* to = block.data<T>();
    parallel_for(z.size(0), std::max<int64_t>(1, (1 << 14) / columns), [&](int64_t n) {
      for (int64_t c = 0; c < columns; ++c) {
        T& sum = to[n * stride + c];
        sum = from_double<T>(to_float(sum) + to_float(from[n * columns + c]));
      }
    });
  });
}

}  // namespace

Tensor consecutive(int64_t first, int64_t count) {
  Tensor rows({count}, DType::kI32);
  std::iota(rows.data<int32_t>(), rows.data<int32_t>() + count, static_cast<int32_t>(first));
  return rows;
}

Var reshape(const Var& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  return record("reshape", packed(x.value).reshape(shape), {&x},
                [x = x.ref(), before = x.shape()](Gradients& g) {
                  g.add(x, packed(g.of_output()).reshape(before));
                });
}

Var rearrange(const Var& x, const Shape& shape, std::initializer_list<int> dims) {
  require(shape.rank() == static_cast<int>(dims.size()), ErrorKind::kShape, "rearrange",
          "{} dimensions in the order of {}", shape.rank(), dims.size());
  const std::vector<int> order(dims);
  std::vector<int> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    inverse[static_cast<size_t>(order[i])] = static_cast<int>(i);
  return record("rearrange", permuted(packed(x.value).reshape(shape), order).clone(), {&x},
                [x = x.ref(), before = x.shape(), inverse](Gradients& g) {
                  g.add(x, permuted(packed(g.of_output()), inverse).clone().reshape(before));
                });
}

Var transpose(const Var& x) { return rearrange(x, x.shape(), {1, 0}); }

Var narrow(const Var& x, int dim, int64_t first, int64_t count) {
  return record("narrow", x.value.narrow(dim, first, count).clone(), {&x},
                [x = x.ref(), shape = x.shape(), dim, first, count](Gradients& g) {
                  const Tensor& dy = g.of_output();
                  const Tensor dx = Tensor::zeros(shape, dy.dtype(), dy.device());
                  dx.narrow(dim, first, count).copy_from(dy);
                  g.add(x, dx);
                });
}

Var join_rows(std::span<const Var> parts) {
  require(!parts.empty(), ErrorKind::kShape, "join_rows", "nothing to join");
  Var sum = parts[0];
  if (parts.size() == 1) return sum;
  // Two at a time: a node of the tape names its inputs one by one.
  for (const Var& next : parts.subspan(1)) {
    const int64_t above = sum.shape()[0], below = next.shape()[0];
    require_shape("join_rows", "a part", next.value, sum.shape().with(0, below));
    Tensor out(sum.shape().with(0, above + below), sum.value.dtype(), sum.value.device());
    out.narrow(0, 0, above).copy_from(sum.value);
    out.narrow(0, above, below).copy_from(next.value);
    sum = record("join_rows", out, {&sum, &next},
                 [a = sum.ref(), b = next.ref(), above, below](Gradients& g) {
                   const Tensor dy = packed(g.of_output());
                   if (a.needs_grad()) g.add(a, dy.narrow(0, 0, above).clone());
                   if (b.needs_grad()) g.add(b, dy.narrow(0, above, below).clone());
                 });
  }
  return sum;
}

Var take_rows(const Var& x, const Tensor& rows) {
  check_rows("take_rows", rows, x.shape()[0]);
  Tensor out(x.shape().with(0, rows.numel()), x.value.dtype(), x.value.device());
  move_rows(packed(x.value), out, rows, false);
  return record("take_rows", out, {&x}, [x = x.ref(), shape = x.shape(), rows](Gradients& g) {
    const Tensor dy = packed(g.of_output());
    const Tensor dx = Tensor::zeros(shape, dy.dtype(), dy.device());
    move_rows(dy, dx, rows, true);
    g.add(x, dx);
  });
}

Var replace_rows(const Var& x, const Tensor& rows, const Var& values) {
  check_rows("replace_rows", rows, x.shape()[0]);
  require_shape("replace_rows", "what takes their place", values.value,
                x.shape().with(0, rows.numel()));
  const Tensor out = x.value.clone();
  move_rows(packed(values.value), out, rows, true);
  return record("replace_rows", out, {&x, &values},
                [x = x.ref(), values = values.ref(), rows](Gradients& g) {
                  const Tensor dy = packed(g.of_output());
                  if (values.needs_grad()) {
                    const Tensor part(dy.shape().with(0, rows.numel()), dy.dtype(), dy.device());
                    move_rows(dy, part, rows, false);
                    g.add(values, part);
                  }
                  if (!x.needs_grad()) return;
                  const Tensor rest = dy.clone();
                  for (const int32_t row : rows.span<int32_t>()) rest.narrow(0, row, 1).fill_zero();
                  g.add(x, rest);
                });
}

Var permute_columns(const Var& x, const Tensor& order) {
  require(x.value.rank() == 2 && order.numel() == x.shape()[1], ErrorKind::kShape,
          "permute_columns", "{} columns in the order of {}", x.shape(), order.numel());
  check_rows("permute_columns", order, x.shape()[1]);
  Tensor out(x.shape(), x.value.dtype(), x.value.device());
  move_columns(packed(x.value), out, order, false);
  return record("permute_columns", out, {&x}, [x = x.ref(), order](Gradients& g) {
    const Tensor dy = packed(g.of_output());
    const Tensor dx(dy.shape(), dy.dtype(), dy.device());
    move_columns(dy, dx, order, true);
    g.add(x, dx);
  });
}

Var add_block(const Var& y, int64_t first_row, int64_t first_column, const Var& z) {
  require(y.value.rank() == 2 && z.value.rank() == 2 && first_row >= 0 && first_column >= 0 &&
              first_row + z.shape()[0] <= y.shape()[0] &&
              first_column + z.shape()[1] <= y.shape()[1],
          ErrorKind::kShape, "add_block", "{} does not fit into {} at row {}, column {}", z.shape(),
          y.shape(), first_row, first_column);
  if (z.value.numel() == 0) return y;
  const auto block = [first_row, first_column, shape = z.shape()](const Tensor& whole) {
    return whole.narrow(0, first_row, shape[0]).narrow(1, first_column, shape[1]);
  };
  const Tensor to = block(y.value);
  if (z.value.dtype() == to.dtype() && to.stride(1) == 1)
    add_rows(packed(z.value), to);
  else
    kernels_of(to).axpy(1.0, z.value, to);
  return record("add_block", y.value, {&y, &z},
                [y = y.ref(), z = z.ref(), block, type = z.value.dtype()](Gradients& g) {
                  const Tensor& dy = g.of_output();
                  if (z.needs_grad()) {
                    const Tensor part = block(dy).clone();
                    g.add(z, part.dtype() == type ? part : part.to(type));
                  }
                  g.add(y, dy);
                });
}

namespace {

// f(rows of the sequence, first row of its prefix in the longer tensor) for each sequence.
template <class F>
void for_each_sequence(const Sequences& sequences, int64_t prefix, F&& f) {
  for (int64_t b = 0; b < sequences.count(); ++b)
    f(b, sequences.first(b) + b * prefix, sequences.length(b));
}

}  // namespace

Var insert_before_each(const Var& x, const Sequences& sequences, const Var& prefix) {
  const int64_t rows = prefix.shape()[0];
  require_shape("insert_before_each", "prefix", prefix.value, x.shape().with(0, rows));
  require(sequences.rows() == x.shape()[0], ErrorKind::kShape, "insert_before_each",
          "{} rows in sequences of {}", x.shape()[0], sequences.rows());
  Tensor out(x.shape().with(0, x.shape()[0] + sequences.count() * rows), x.value.dtype(),
             x.value.device());
  for_each_sequence(sequences, rows, [&](int64_t b, int64_t at, int64_t length) {
    out.narrow(0, at, rows).copy_from(prefix.value);
    if (length > 0)
      out.narrow(0, at + rows, length).copy_from(x.value.narrow(0, sequences.first(b), length));
  });
  return record(
      "insert_before_each", out, {&x, &prefix},
      [x = x.ref(), prefix = prefix.ref(), shape = x.shape(), sequences, rows](Gradients& g) {
        const Tensor dy = packed(g.of_output());
        const Tensor dx(shape, dy.dtype(), dy.device());
        const Tensor sum =
            Tensor::zeros(shape.with(0, rows), accumulation_type(dy.dtype()), dy.device());
        for_each_sequence(sequences, rows, [&](int64_t b, int64_t at, int64_t length) {
          kernels_of(sum).axpy(1.0, dy.narrow(0, at, rows), sum);
          if (length > 0)
            dx.narrow(0, sequences.first(b), length).copy_from(dy.narrow(0, at + rows, length));
        });
        g.add(x, dx);
        g.add(prefix, sum.to(dy.dtype()));
      });
}

}  // namespace lathe::ops
