// Inputs and targets end with the end-of-sequence token, where the model has one.

#include "lathe/train/objectives.h"
#include "lathe/train/row_format/spans.h"

namespace lathe {
namespace {

class SpanCorruption : public RowFormat {
 public:
  explicit SpanCorruption(const RowShape& shape)
      : shape_(shape),
        counts_(span_counts(shape.seq_len, shape.hiding.mask_rate, shape.hiding.mean_span)) {
    require_sentinels(shape, counts_.spans);
  }

  Row row(std::span<const int32_t> tokens, const Rng& rng) const override {
    refuse_sentinels(shape_, tokens);
    Corrupted c = corrupt(tokens.first(tokens.size() - 1), counts_,
                          static_cast<int32_t>(shape_.vocab_size - 1), rng);
    if (shape_.eos_token_id)
      for (auto* part : {&c.inputs, &c.targets})
        part->push_back(static_cast<int32_t>(*shape_.eos_token_id));
    return join_row(shape_, c.inputs, c.targets);
  }
  RowLengths longest() const override {
    const int64_t end = shape_.eos_token_id ? 1 : 0;
    return joined_lengths(shape_, shape_.seq_len - counts_.hidden + counts_.spans + end,
                          counts_.hidden + counts_.spans + end);
  }

 private:
  RowShape shape_;
  SpanCounts counts_;
};

}  // namespace

Objective span_corruption_objective() {
  return text_objective<SpanCorruption>(
      {.name = "span_corruption",
       .summary = "random spans are replaced by a sentinel each, and predicted",
       .source = "Raffel et al. 2020, arXiv:1910.10683"},
      {"encoder_decoder", "prefix_decoder", "decoder"});
}

}  // namespace lathe
