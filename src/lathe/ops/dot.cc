#include "lathe/ops/dot.h"

#include <numeric>
#include <vector>

#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

Tensor tensor_of(std::span<const double> numbers, const Tensor& like) {
  Tensor out(like.shape(), like.dtype(), like.device());
  visit_sums(like.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (size_t i = 0; i < numbers.size(); ++i) out.data<T>()[i] = static_cast<T>(numbers[i]);
  });
  return out;
}

}  // namespace

Var dot(const Var& x, std::span<const double> weights) {
  require(x.value.numel() == std::ssize(weights), ErrorKind::kShape, "dot", "{} weights for {}",
          weights.size(), x.shape());
  require(x.value.dtype() == accumulation_type(x.value.dtype()), ErrorKind::kShape, "dot",
          "x is {}, expected float32 or float64", name_of(x.value.dtype()));
  const std::vector<double> values = x.value.to_vector();
  const double sum = std::inner_product(values.begin(), values.end(), weights.begin(), 0.0);
  const Tensor gradient = tensor_of(weights, x.value);
  const Tensor one = Tensor({}, x.value.dtype(), x.value.device());
  visit_sums(x.value.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    *one.data<T>() = static_cast<T>(sum);
  });
  return record("dot", one, {&x}, [x = x.ref(), gradient](Gradients& g) {
    const double upstream = g.of_output().item();
    if (upstream != 1.0) kernels_of(gradient).scale(upstream, gradient, gradient);
    g.add(x, gradient);
  });
}

}  // namespace lathe::ops
