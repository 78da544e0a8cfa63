#include "lathe/train/objectives.h"

namespace lathe {
namespace {

class NextToken : public RowFormat {
 public:
  explicit NextToken(const RowShape& shape) : seq_len_(shape.seq_len) {}

  Row row(std::span<const int32_t> tokens, const Rng&) const override {
    Row row;
    row.ids.assign(tokens.begin(), tokens.end() - 1);
    row.labels.assign(tokens.begin() + 1, tokens.end());
    return row;
  }
  RowLengths longest() const override { return {.ids = seq_len_}; }
  bool is_plain_text() const override { return true; }

 private:
  int64_t seq_len_;
};

}  // namespace

Objective next_token_objective() {
  return text_objective<NextToken>({.name = "next_token",
                                    .summary = "every token predicts the one after it",
                                    .source = "Radford et al. 2019 (GPT-2)"},
                                   {"decoder", "prefix_decoder"});
}

}  // namespace lathe
