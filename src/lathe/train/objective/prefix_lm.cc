// The cut lies anywhere in the text, so that a model learns to go on from a little as from much.

#include "lathe/train/objective/objective.h"

namespace lathe {
namespace {

class PrefixLm : public Objective {
 public:
  explicit PrefixLm(const ObjectiveOptions& o) : options_(o) {}

  Example example(std::span<const int32_t> tokens, const Rng& rng) const override {
    const size_t cut = 1 + rng.fork("cut").below(0, tokens.size() - 1);
    return join_row(options_, tokens.first(cut), tokens.subspan(cut));
  }
  // Of an encoder and a decoder either may have nearly all of it.
  Lengths longest() const override {
    const int64_t all = options_.seq_len;
    return options_.body.encoder ? Lengths{.text = all, .ids = all} : Lengths{.ids = all};
  }

 private:
  ObjectiveOptions options_;
};

}  // namespace

std::unique_ptr<Objective> make_prefix_lm(const ObjectiveOptions& options) {
  return std::make_unique<PrefixLm>(options);
}

}  // namespace lathe
