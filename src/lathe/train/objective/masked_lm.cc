// Of the chosen tokens 80 % are hidden, 10 % become a random one and 10 % stay, so that a model
// cannot rely on seeing the mask.

#include "lathe/base/error.h"
#include "lathe/train/objective/objective.h"

namespace lathe {
namespace {

class MaskedLm : public Objective {
 public:
  explicit MaskedLm(const ObjectiveOptions& o) : options_(o) {
    require(o.config.mask_token_id.has_value(), ErrorKind::kConfig, "objective.mask_token_id",
            "masked_lm needs the id that hides a token, e.g. that of [MASK] in the tokenizer");
    require(*o.config.mask_token_id < o.vocab_size, ErrorKind::kConfig, "objective.mask_token_id",
            "{} is outside the vocabulary of {}", *o.config.mask_token_id, o.vocab_size);
  }

  Example example(std::span<const int32_t> tokens, const Rng& rng) const override {
    Example e;
    e.ids.assign(tokens.begin(), tokens.end() - 1);
    e.labels.assign(e.ids.size(), -1);
    const Rng chosen = rng.fork("chosen"), how = rng.fork("how"), other = rng.fork("other");
    bool any = false;
    for (size_t t = 0; t < e.ids.size(); ++t)
      if (chosen.uniform64(t) < options_.config.mask_rate) {
        hide(e, t, how.uniform64(t), other);
        any = true;
      }
    if (!any) {  // a row without labels would teach nothing
      const size_t t = rng.fork("one").below(0, e.ids.size());
      hide(e, t, how.uniform64(t), other);
    }
    return e;
  }
  Lengths longest() const override { return {.ids = options_.seq_len}; }

 private:
  void hide(Example& e, size_t t, double how, const Rng& other) const {
    e.labels[t] = e.ids[t];
    if (how < 0.8) {
      e.ids[t] = static_cast<int32_t>(*options_.config.mask_token_id);
    } else if (how < 0.9) {
      e.ids[t] = static_cast<int32_t>(other.below(t, static_cast<uint64_t>(options_.vocab_size)));
    }
  }

  ObjectiveOptions options_;
};

}  // namespace

std::unique_ptr<Objective> make_masked_lm(const ObjectiveOptions& options) {
  return std::make_unique<MaskedLm>(options);
}

}  // namespace lathe
