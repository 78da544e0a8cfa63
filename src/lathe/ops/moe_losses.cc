#include "lathe/ops/moe_losses.h"

#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

constexpr int64_t kRowGrain = 64;

// factor[g·E + e] = E·f_e / rows of a group / groups: what probability p[n,e] counts in the loss.
std::vector<double> balance_factors(const Tensor& choices, int64_t experts, int64_t group) {
  const int64_t rows = choices.size(0), k = choices.size(1);
  std::vector<double> factors(static_cast<size_t>(rows / group * experts), 0.0);
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t j = 0; j < k; ++j) {
      const int32_t e = choices.data<int32_t>()[n * k + j];
      factors[static_cast<size_t>(n / group * experts + e)] += 1.0;
    }
  const double size = static_cast<double>(group);
  for (double& f : factors) f *= static_cast<double>(experts) / size / static_cast<double>(rows);
  return factors;
}

}  // namespace

Var balance_loss(const Var& probabilities, const Tensor& choices, int64_t group) {
  const Tensor& p = probabilities.value;
  require(p.rank() == 2 && choices.rank() == 2 && choices.size(0) == p.size(0) && group > 0 &&
              p.size(0) % group == 0,
          ErrorKind::kShape, "balance_loss", "probabilities {}, choices {}, groups of {}",
          p.shape(), choices.shape(), group);
  const int64_t experts = p.size(1), rows = p.size(0);
  const std::vector<double> factors = balance_factors(choices, experts, group);
  double loss = 0;
  Tensor sums({experts}, p.dtype(), p.device());
  for (int64_t first = 0; first < rows; first += group) {
    kernels_of(p).sum_rows(p.narrow(0, first, group), sums, kernels::Write::kOverwrite);
    const std::vector<double> totals = sums.to_vector();
    for (int64_t e = 0; e < experts; ++e)
      loss += totals[static_cast<size_t>(e)] *
              factors[static_cast<size_t>(first / group * experts + e)];
  }
  auto backward = [probabilities = probabilities.ref(), shape = p.shape(), dtype = p.dtype(),
                   device = p.device(), factors, group, experts](Gradients& g) {
    const double seed = g.of_output().item();
    Tensor dp(shape, dtype, device);
    visit_floating(dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      parallel_for(shape[0], kRowGrain, [&](int64_t n) {
        const double* factor = factors.data() + n / group * experts;
        for (int64_t e = 0; e < experts; ++e)
          dp.data<T>()[n * experts + e] = from_double<T>(seed * factor[e]);
      });
    });
    g.add(probabilities, dp);
  };
  return record("balance_loss", Tensor::scalar(loss, p.dtype(), p.device()), {&probabilities},
                std::move(backward));
}

Var router_z_loss(const Var& logits) {
  const Tensor& x = logits.value;
  require(x.rank() == 2 && x.size(0) > 0, ErrorKind::kShape, "router_z_loss",
          "logits are {}, expected [N, E]", x.shape());
  const auto& k = kernels_of(x);
  const double rows = static_cast<double>(x.size(0));
  Tensor probabilities(x.shape(), x.dtype(), x.device()), lse({x.size(0)}, x.dtype(), x.device());
  k.softmax(x, probabilities, lse);
  const double loss = k.sum_squares(lse) / rows;
  auto backward = [logits = logits.ref(), probabilities, lse, rows, &k](Gradients& g) {
    const double factor = 2.0 * g.of_output().item() / rows;
    Tensor each({lse.size(0)}, DType::kI32);
    for (int64_t n = 0; n < lse.size(0); ++n) each.data<int32_t>()[n] = static_cast<int32_t>(n);
    Tensor scales(lse.shape(), lse.dtype(), lse.device());
    k.scale(factor, lse, scales);
    Tensor dx(probabilities.shape(), probabilities.dtype(), probabilities.device());
    k.gather_rows(probabilities, each, scales, dx);
    g.add(logits, dx);
  };
  return record("router_z_loss", Tensor::scalar(loss, x.dtype(), x.device()), {&logits},
                std::move(backward));
}

Var attach_loss(const Var& x, const Var& loss, double coefficient) {
  require(loss.value.numel() == 1, ErrorKind::kShape, "attach_loss", "the loss has shape {}",
          loss.shape());
  if (coefficient == 0.0) return x;
  return record("attach_loss", x.value, {&x, &loss},
                [x = x.ref(), loss = loss.ref(), coefficient, dtype = loss.value.dtype(),
                 device = loss.value.device(), shape = loss.shape()](Gradients& g) {
                  g.add(x, g.of_output());
                  g.add(loss, Tensor::scalar(coefficient, dtype, device).reshape(shape));
                });
}

}  // namespace lathe::ops
