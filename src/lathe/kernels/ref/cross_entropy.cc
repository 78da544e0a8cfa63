#include <algorithm>
#include <cmath>

#include "lathe/kernels/ref/array.h"
#include "lathe/kernels/ref/ref.h"

namespace lathe::kernels::ref {

void cross_entropy(const TensorView& logits_view, const TensorView& labels_view,
                   const TensorView& losses_view, const TensorView& dlogits_view,
                   double grad_scale) {
  const Array logits(logits_view), labels(labels_view), losses(losses_view), dlogits(dlogits_view);
  const int64_t vocab = logits.size(1);
  for (int64_t n = 0; n < logits.size(0); ++n) {
    const auto label = static_cast<int64_t>(labels(n));
    if (label < 0) {
      losses.set(0.0, n);
      for (int64_t v = 0; dlogits && v < vocab; ++v) dlogits.set(0.0, n, v);
      continue;
    }
    double max = logits(n, 0), sum = 0;
    for (int64_t v = 1; v < vocab; ++v) max = std::max(max, logits(n, v));
    for (int64_t v = 0; v < vocab; ++v) sum += std::exp(logits(n, v) - max);
    const double lse = max + std::log(sum);
    losses.set(lse - logits(n, label), n);
    for (int64_t v = 0; dlogits && v < vocab; ++v)
      dlogits.set(grad_scale * (std::exp(logits(n, v) - lse) - (v == label ? 1.0 : 0.0)), n, v);
  }
}

}  // namespace lathe::kernels::ref
