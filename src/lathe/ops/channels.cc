#include "lathe/ops/channels.h"

#include <numeric>

#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

// The sum over heads of x [N,H,R], as [N,1,R].
Tensor sum_of_heads(const Tensor& x) {
  const auto& k = kernels_of(x);
  const Tensor sum = x.narrow(1, 0, 1).clone().to(accumulation_type(x.dtype()));
  for (int64_t h = 1; h < x.size(1); ++h) k.axpy(1.0, x.narrow(1, h, 1), sum);
  return sum.to(x.dtype());
}

}  // namespace

std::vector<Var> split_channels(const Var& x, std::span<const int64_t> widths) {
  require(std::accumulate(widths.begin(), widths.end(), int64_t{0}) == x.shape()[-1],
          ErrorKind::kShape, "split_channels", "{} is not as wide as its {} parts", x.shape(),
          widths.size());
  const int last = x.value.rank() - 1;
  std::vector<Tensor> parts;
  int64_t first = 0;
  for (const int64_t width : widths) {
    parts.push_back(x.value.narrow(last, first, width));
    first += width;
  }
  Tape* tape = tape_of({&x});
  if (tape == nullptr) return {parts.begin(), parts.end()};
  auto backward = [x = x.ref(), shape = x.shape(), dtype = x.value.dtype(),
                   device = x.value.device(),
                   widths = std::vector<int64_t>(widths.begin(), widths.end())](Gradients& g) {
    const Tensor dx(shape, dtype, device);
    std::vector<Tensor> targets;
    int64_t start = 0;
    for (const int64_t width : widths) {
      targets.push_back(dx.narrow(shape.rank() - 1, start, width));
      start += width;
    }
    join_output_gradients(g, dx, targets);
    g.add(x, dx);
  };
  return tape->record("split_channels", parts, {&x}, std::move(backward), {});
}

Var join_channels(const Var& a, const Var& b) {
  const Shape &sa = a.shape(), &sb = b.shape();
  require(sa.rank() == 3 && sb.rank() == 3 && sa[0] == sb[0] && (sb[1] == sa[1] || sb[1] == 1),
          ErrorKind::kShape, "join_channels", "{} and {} do not fit", sa, sb);
  const int64_t heads = sa[1], wide = sa[2], narrow = sb[2];
  const bool shared = sb[1] == 1 && heads > 1;
  Tensor out(sa.with(2, wide + narrow), a.value.dtype(), a.value.device());
  out.narrow(2, 0, wide).copy_from(a.value);
  const Tensor rest = out.narrow(2, wide, narrow);
  for (int64_t h = 0; shared && h < heads; ++h) rest.narrow(1, h, 1).copy_from(b.value);
  if (!shared) rest.copy_from(b.value);
  return record("join_channels", out, {&a, &b},
                [a = a.ref(), b = b.ref(), wide, narrow, shared](Gradients& g) {
                  const Tensor& dy = g.of_output();
                  if (a.needs_grad()) g.add(a, dy.narrow(2, 0, wide).clone());
                  if (!b.needs_grad()) return;
                  const Tensor part = dy.narrow(2, wide, narrow);
                  g.add(b, shared ? sum_of_heads(part) : part.clone());
                });
}

Tensor multiply_heads(const Tensor& x, const Tensor& w) {
  require(x.rank() == 3 && w.rank() == 3 && w.size(0) == x.size(1) && w.size(1) == x.size(2),
          ErrorKind::kShape, "multiply_heads", "{} heads do not fit {}", x.shape(), w.shape());
  const Tensor in = x.contiguous() ? x : x.clone();
  Tensor out(x.shape().with(2, w.size(2)), x.dtype(), x.device());
  const auto head_of = [](const Tensor& t, int64_t h) {  // [N,H,W] -> [N,W]
    TensorView v = t.narrow(1, h, 1).view();
    v.rank = 2;
    v.shape[1] = v.shape[2];
    v.stride[1] = v.stride[2];
    return v;
  };
  for (int64_t h = 0; h < x.size(1); ++h) {
    TensorView matrix = w.narrow(0, h, 1).view();
    matrix.rank = 2;
    for (int d = 0; d < 2; ++d) {
      matrix.shape[d] = matrix.shape[d + 1];
      matrix.stride[d] = matrix.stride[d + 1];
    }
    kernels_of(x).row_matmul(head_of(in, h), matrix, TensorView(), head_of(out, h),
                             kernels::Write::kOverwrite);
  }
  return out;
}

}  // namespace lathe::ops
