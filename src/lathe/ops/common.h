// Shape checks and views that the operations share.
#pragma once

#include <span>
#include <string_view>

#include "lathe/autograd/tape.h"

namespace lathe::ops {

// [.., C] seen as [N, C].
inline Tensor as_rows(const Tensor& x) {
  const int64_t width = x.size(-1);
  return x.reshape({width == 0 ? 0 : x.numel() / width, width});
}

inline void require_shape(std::string_view op, std::string_view what, const Tensor& t,
                          const Shape& expected) {
  require(t.shape() == expected, ErrorKind::kShape, op, "{} has shape {}, expected {}", what,
          t.shape(), expected);
}

inline void require_dtype(std::string_view op, std::string_view what, const Tensor& t,
                          DType expected) {
  require(t.dtype() == expected, ErrorKind::kShape, op, "{} is {}, expected {}", what,
          name_of(t.dtype()), name_of(expected));
}

// The dtype of sums, statistics and losses for activations of dtype `t`.
inline DType accumulation_type(DType t) { return t == DType::kF64 ? DType::kF64 : DType::kF32; }

// f(TypeTag<T>{}) with the C++ type of an accumulation dtype.
template <class F>
decltype(auto) visit_sums(DType t, F&& f) {
  if (t == DType::kF64) return f(TypeTag<double>{});
  return f(TypeTag<float>{});
}

inline const kernels::Kernels& kernels_of(const Tensor& t) {
  return kernels::kernels_for(t.device());
}

// The output tensor for an elementwise kernel on t: t itself if nobody else holds it.
inline Tensor over(const Tensor& t) {
  return t.unique() ? t : Tensor(t.shape(), t.dtype(), t.device());
}

// The input's gradient target for a kernel that must write one even if it is not needed.
inline GradientTarget target_or_scratch(Gradients& g, const Var& input, const Tensor& like) {
  if (input.needs_grad()) return g.target(input);
  return {Tensor(like.shape(), like.dtype(), like.device()), kernels::Write::kOverwrite};
}

// The same for an optional operand: nothing if it is not needed.
inline GradientTarget target_or_none(Gradients& g, const Var& input) {
  return input.needs_grad() ? g.target(input) : GradientTarget{};
}

// The gradient of a value that was split: that of each output goes to its part of `whole`, zeros to
// the part of an output that nothing read.
inline void join_output_gradients(Gradients& g, const Tensor& whole,
                                  std::span<const Tensor> parts) {
  const auto source = [&](size_t i) -> const Tensor& { return g.of_output(static_cast<int>(i)); };
  bool all_read = true;
  for (size_t i = 0; i < parts.size(); ++i) all_read = all_read && source(i).defined();
  if (!all_read) whole.fill_zero();  // the parts themselves may have gaps
  for (size_t i = 0; i < parts.size(); ++i)
    if (source(i).defined()) kernels_of(whole).cast(source(i), parts[i]);
}

}  // namespace lathe::ops
