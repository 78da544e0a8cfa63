// Of the chosen tokens 80 % are hidden, 10 % become a random one and 10 % stay, so that a model
// cannot rely on seeing the mask.

#include "lathe/base/error.h"
#include "lathe/train/objectives.h"

namespace lathe {
namespace {

struct MaskedLmConfig {
  std::optional<int64_t> mask_token_id;
  void visit(Visitor& v) {
    v.field("mask_token_id", mask_token_id, "masked_lm: the id that replaces a hidden token",
            at_least(0));
  }
  void check(const RowShape& shape, const KeyErrors& keys) const {
    if (!mask_token_id)
      keys.refuse("mask_token_id",
                  "masked_lm needs the id that replaces a hidden token, e.g. that of [MASK] in the "
                  "tokenizer");
    if (*mask_token_id >= shape.vocab_size)
      keys.refuse("mask_token_id", fmt::format("{} is outside the vocabulary of {}", *mask_token_id,
                                               shape.vocab_size));
  }
};

class MaskedLm : public RowFormat {
 public:
  MaskedLm(const RowShape& shape, const MaskedLmConfig& config)
      : shape_(shape), mask_token_(static_cast<int32_t>(*config.mask_token_id)) {}

  Row row(std::span<const int32_t> tokens, const Rng& rng) const override {
    Row row;
    row.ids.assign(tokens.begin(), tokens.end() - 1);
    row.labels.assign(row.ids.size(), -1);
    const Rng chosen = rng.fork("chosen"), how = rng.fork("how"), other = rng.fork("other");
    bool any = false;
    for (size_t t = 0; t < row.ids.size(); ++t)
      if (chosen.uniform64(t) < shape_.hiding.mask_rate) {
        hide(row, t, how.uniform64(t), other);
        any = true;
      }
    if (!any) {  // a row without labels would teach nothing
      const size_t t = rng.fork("one").below(0, row.ids.size());
      hide(row, t, how.uniform64(t), other);
    }
    return row;
  }
  RowLengths longest() const override { return {.ids = shape_.seq_len}; }

 private:
  void hide(Row& row, size_t t, double how, const Rng& other) const {
    row.labels[t] = row.ids[t];
    if (how < 0.8) {
      row.ids[t] = mask_token_;
    } else if (how < 0.9) {
      row.ids[t] = static_cast<int32_t>(other.below(t, static_cast<uint64_t>(shape_.vocab_size)));
    }
  }

  RowShape shape_;
  int32_t mask_token_;
};

}  // namespace

Objective masked_lm_objective() {
  return text_objective<MaskedLm, MaskedLmConfig>(
      {.name = "masked_lm",
       .summary = "random tokens are hidden, replaced or kept, and predicted in place",
       .source = "Devlin et al. 2019, arXiv:1810.04805"},
      {"encoder"});
}

}  // namespace lathe
