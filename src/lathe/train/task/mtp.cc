#include "lathe/train/task/mtp.h"

#include <algorithm>

#include "lathe/ops/cross_entropy.h"
#include "lathe/ops/elementwise.h"

namespace lathe {
namespace {

// Row by row `by` places earlier; what is missing at the end becomes `filling`.
Tensor earlier(const Tensor& rows, int64_t by, int32_t filling) {
  Tensor out(rows.shape(), DType::kI32);
  const int64_t width = rows.size(1);
  for (int64_t b = 0; b < rows.size(0); ++b)
    for (int64_t t = 0; t < width; ++t)
      out.data<int32_t>()[b * width + t] =
          t + by < width ? rows.data<int32_t>()[b * width + t + by] : filling;
  return out;
}

// Labels `by` places ahead; none where that token belongs to another document.
Tensor labels_ahead(const Batch& batch, int64_t by) {
  Tensor labels = earlier(batch.labels, by, -1);
  if (!batch.segments.defined()) return labels;
  const Tensor segments = earlier(batch.segments, by, -1);
  for (int64_t i = 0; i < labels.numel(); ++i)
    if (segments.data<int32_t>()[i] != batch.segments.data<int32_t>()[i])
      labels.data<int32_t>()[i] = -1;
  return labels;
}

}  // namespace

Var add_mtp_loss(const ModelPass& pass, int64_t modules, const Batch& batch, Var hidden, Var loss,
                 double normalizer, double weight, MtpLoss& total) {
  const double each = weight / static_cast<double>(modules);
  for (int64_t depth = 1; depth <= modules; ++depth) {
    const Tensor ahead = earlier(batch.ids, depth, 0);
    hidden = pass.mtp_hidden(depth, hidden, ahead.reshape({ahead.numel()}));
    const Tensor labels = labels_ahead(batch, depth);
    if (std::ranges::max(labels.span<int32_t>()) < 0) break;  // rows too short to look so far
    const Var own =
        ops::linear_cross_entropy(hidden, pass.head(), labels, {.normalizer = normalizer / each});
    total.sum += own.value.item() * normalizer / each;
    total.labels +=
        std::ranges::count_if(labels.span<int32_t>(), [](int32_t label) { return label >= 0; });
    loss = ops::add(loss, own);
  }
  return loss;
}

}  // namespace lathe
