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

ModelInputs inputs_of(const Batch& batch) {
  const auto flat = [](const Tensor& t) { return t.defined() ? t.reshape({t.numel()}) : t; };
  ModelInputs inputs{.rows = Rows::of(batch.ids)};
  inputs.rows.positions = flat(batch.positions);
  inputs.rows.segments = flat(batch.segments);
  inputs.rows.prefix = batch.prefix;
  if (!batch.text.defined()) return inputs;
  inputs.text = Rows::of(batch.text);
  inputs.text->segments = flat(batch.text_segments);
  return inputs;
}

}  // namespace lathe
