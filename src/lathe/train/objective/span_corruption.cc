// Inputs and targets end with the end-of-sequence token, where the model has one.

#include "lathe/train/objective/spans.h"

namespace lathe {
namespace {

class SpanCorruption : public Objective {
 public:
  explicit SpanCorruption(const ObjectiveOptions& o)
      : options_(o), counts_(span_counts(o.seq_len, o.config.mask_rate, o.config.mean_span)) {
    require_sentinels(o, counts_.spans);
  }

  Example example(std::span<const int32_t> tokens, const Rng& rng) const override {
    refuse_sentinels(options_, tokens);
    Corrupted c = corrupt(tokens.first(tokens.size() - 1), counts_,
                          static_cast<int32_t>(options_.vocab_size - 1), rng);
    if (options_.eos_token_id)
      for (auto* row : {&c.inputs, &c.targets})
        row->push_back(static_cast<int32_t>(*options_.eos_token_id));
    return join_row(options_, c.inputs, c.targets);
  }
  Lengths longest() const override {
    const int64_t end = options_.eos_token_id ? 1 : 0;
    return joined_lengths(options_, options_.seq_len - counts_.hidden + counts_.spans + end,
                          counts_.hidden + counts_.spans + end);
  }

 private:
  ObjectiveOptions options_;
  SpanCounts counts_;
};

}  // namespace

std::unique_ptr<Objective> make_span_corruption(const ObjectiveOptions& options) {
  return std::make_unique<SpanCorruption>(options);
}

}  // namespace lathe
