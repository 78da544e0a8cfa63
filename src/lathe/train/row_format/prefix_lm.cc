// The cut lies anywhere in the text, so that a model learns to go on from a little as from much.

#include "lathe/train/objectives.h"

namespace lathe {
namespace {

class PrefixLm : public RowFormat {
 public:
  explicit PrefixLm(const RowShape& shape) : shape_(shape) {}

  Row row(std::span<const int32_t> tokens, const Rng& rng) const override {
    const size_t cut = 1 + rng.fork("cut").below(0, tokens.size() - 1);
    return join_row(shape_, tokens.first(cut), tokens.subspan(cut));
  }
  // Of an encoder and a decoder either may have nearly all of it.
  RowLengths longest() const override {
    const int64_t all = shape_.seq_len;
    return shape_.body.encoder ? RowLengths{.text = all, .ids = all} : RowLengths{.ids = all};
  }

 private:
  RowShape shape_;
};

}  // namespace

Objective prefix_lm_objective() {
  return text_objective<PrefixLm>(
      {.name = "prefix_lm",
       .summary = "the text is cut at a random place; the part after the cut is predicted from the "
                  "part before it",
       .source =
           "Raffel et al. 2020, arXiv:1910.10683; Tay et al. 2022 (U-PaLM), arXiv:2210.11399"},
      {"prefix_decoder", "encoder_decoder"});
}

}  // namespace lathe
