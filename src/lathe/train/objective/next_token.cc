#include "lathe/train/objective/objective.h"

namespace lathe {
namespace {

class NextToken : public Objective {
 public:
  explicit NextToken(const ObjectiveOptions& o) : seq_len_(o.seq_len) {}

  Example example(std::span<const int32_t> tokens, const Rng&) const override {
    Example e;
    e.ids.assign(tokens.begin(), tokens.end() - 1);
    e.labels.assign(tokens.begin() + 1, tokens.end());
    return e;
  }
  Lengths longest() const override { return {.ids = seq_len_}; }

 private:
  int64_t seq_len_;
};

}  // namespace

std::unique_ptr<Objective> make_next_token(const ObjectiveOptions& options) {
  return std::make_unique<NextToken>(options);
}

}  // namespace lathe
