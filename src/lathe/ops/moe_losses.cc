#include "lathe/ops/moe_losses.h"

#include <vector>

#include "lathe/base/parallel.h"
#include "lathe/ops/common.h"

namespace lathe::ops {
namespace {

constexpr int64_t kRowGrain = 64;

// factor[g·E + e] = E·f_e / rows of a group / groups: what probability p[n,e] counts in the loss.
std::vector<double> balance_factors(const Tensor& choices, int64_t experts,
                                    const Sequences& groups) {
  const int64_t k = choices.size(1);
  std::vector<double> factors(static_cast<size_t>(groups.count() * experts), 0.0);
  for (int64_t g = 0; g < groups.count(); ++g) {
    const std::span<double> of_group(factors.data() + g * experts, static_cast<size_t>(experts));
    for (int64_t i = groups.first(g) * k; i < groups.first(g + 1) * k; ++i)
      of_group[static_cast<size_t>(choices.data<int32_t>()[i])] += 1.0;
    require(groups.length(g) > 0, ErrorKind::kShape, "balance_loss",
            "group {} is empty, expected at least one row in each", g);
    const auto size = static_cast<double>(groups.length(g));
    const double all = size * static_cast<double>(groups.count());
    for (double& f : of_group) f *= static_cast<double>(experts) / size / all;
  }
  return factors;
}

}  // namespace

Var balance_loss(const Var& probabilities, const Tensor& choices, const Sequences& groups) {
  const Tensor& p = probabilities.value;
  require(p.rank() == 2 && choices.rank() == 2 && choices.size(0) == p.size(0) &&
              groups.rows() == p.size(0),
          ErrorKind::kShape, "balance_loss",
          "probabilities {}, choices {}, groups of {} rows in all", p.shape(), choices.shape(),
          groups.rows());
  const int64_t experts = p.size(1);
  const std::vector<double> factors = balance_factors(choices, experts, groups);
  double loss = 0;
  Tensor sums({experts}, p.dtype(), p.device());
  for (int64_t g = 0; g < groups.count(); ++g) {
    kernels_of(p).sum_rows(p.narrow(0, groups.first(g), groups.length(g)), sums,
                           kernels::Write::kOverwrite);
    const std::vector<double> totals = sums.to_vector();
    for (int64_t e = 0; e < experts; ++e)
      loss += totals[static_cast<size_t>(e)] * factors[static_cast<size_t>(g * experts + e)];
  }
  auto backward = [probabilities = probabilities.ref(), shape = p.shape(), dtype = p.dtype(),
                   device = p.device(), factors, groups, experts](Gradients& g) {
    const double seed = g.of_output().item();
    Tensor dp(shape, dtype, device);
    visit_floating(dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t i = 0; i < groups.count(); ++i) {
        const double* factor = factors.data() + i * experts;
        parallel_for(groups.length(i), kRowGrain, [&](int64_t row) {
          T* to = dp.data<T>() + (groups.first(i) + row) * experts;
          for (int64_t e = 0; e < experts; ++e) to[e] = from_double<T>(seed * factor[e]);
        });
      }
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
