#include "lathe/train/batch_pass.h"

namespace lathe {

void add_by_kind(const Batch& batch, const Tensor& losses, LossByKind& sums) {
  if (batch.kinds.empty()) return;
  const std::vector<double> each = losses.to_vector();
  const auto labels = batch.labels.span<int32_t>();
  const auto width = static_cast<size_t>(batch.labels.size(1));
  for (size_t row = 0; row < batch.kinds.size(); ++row) {
    LossSum sum;
    for (size_t i = row * width; i < (row + 1) * width; ++i)
      if (labels[i] >= 0) sum.add(each[i]);
    if (sum.labels > 0) sums[std::string(batch.kinds[row])].add(sum);
  }
}

BatchPass::BatchPass(Transformer& model, Forward f, const Batch& batch, Recompute recompute)
    : forward(std::move(f)) {
  if (batch.text.defined()) {
    Forward reading = forward;
    reading.segments = {batch.text_segments, batch.text_segments};
    memory = model.encode(reading, batch.text, recompute);
    forward.memory = &memory;
  }
  forward.positions = batch.positions;
  forward.segments = {batch.segments, batch.segments};
  forward.prefix = batch.prefix;
  hidden = model.hidden(forward, batch.ids, recompute);
}

}  // namespace lathe
