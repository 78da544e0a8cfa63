#include "lathe/train/row_format/row_format.h"

namespace lathe {

void HidingConfig::visit(Visitor& v) {
  v.field("mask_rate", mask_rate, "span_corruption, masked_lm: share of the tokens that are hidden",
          between(0.01, 0.9));
  v.field("mean_span", mean_span, "span_corruption: mean length of a hidden span, in tokens",
          at_least(1));
  v.field("sentinels", sentinels,
          "span_corruption, ul2: number of ids at the end of the vocabulary that replace hidden "
          "spans, the last id first",
          at_least(1));
}

Row join_row(const RowShape& shape, std::span<const int32_t> inputs,
             std::span<const int32_t> targets) {
  Row row;
  if (shape.body.encoder) {
    row.text.assign(inputs.begin(), inputs.end());
    row.ids.push_back(static_cast<int32_t>(*shape.decoder_start));
    row.ids.insert(row.ids.end(), targets.begin(), targets.end() - 1);
    row.labels.assign(targets.begin(), targets.end());
    return row;
  }
  row.ids.assign(inputs.begin(), inputs.end());
  row.ids.insert(row.ids.end(), targets.begin(), targets.end() - 1);
  row.labels.assign(inputs.size() - 1, -1);
  row.labels.insert(row.labels.end(), targets.begin(), targets.end());
  row.prefix = shape.body.prefix ? static_cast<int64_t>(inputs.size()) : 0;
  return row;
}

RowLengths joined_lengths(const RowShape& shape, int64_t inputs, int64_t targets) {
  if (shape.body.encoder) return {.text = inputs, .ids = targets};
  return {.text = 0, .ids = inputs + targets - 1};
}

}  // namespace lathe
