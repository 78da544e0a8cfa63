// More rows in the token table and the output head, near the mean of the old ones (token_rows.h).

#include <algorithm>

#include "lathe/base/error.h"
#include "lathe/base/parallel.h"
#include "lathe/model/convert/conversion.h"
#include "lathe/model/convert/token_rows.h"

namespace lathe {
namespace {

class VocabularyConversion : public Conversion {
 public:
  explicit VocabularyConversion(const ConversionOptions& options) : options_(options) {}

  ModelConfig config(const ModelConfig& from) const override {
    const int64_t asked = options_.vocab_size.value_or(from.vocab_size);
    require(asked >= from.vocab_size, ErrorKind::kConfig, "--vocab-size",
            "{} is less than the {} rows that the model has; tokens cannot be removed, because the "
            "tokenizer would still produce their ids",
            asked, from.vocab_size);
    ModelConfig to = from;
    to.vocab_size = asked;
    validate(to);  // before arithmetic with it
    const int64_t multiple = options_.pad_vocab_to.value_or(1);
    to.vocab_size = (asked + multiple - 1) / multiple * multiple;
    return to;
  }

  void fill(Transformer& from, Transformer& to) const override {
    const Range fresh_rows{from.config().vocab_size, to.config().vocab_size};
    // After a change of the tokenizer every row is a token's.
    const auto tokens = options_.token_sources ? std::nullopt : options_.known_tokens;
    const int64_t known =
        std::clamp<int64_t>(tokens.value_or(fresh_rows.begin), 1, fresh_rows.begin);
    const Rng rng(static_cast<uint64_t>(options_.seed));
    carry_over(from, to, [&](const Parameter* old, Parameter& fresh) {
      if (!has_token_rows(fresh) || old == nullptr) return false;
      const TokenRows rows(fresh);
      fresh.value.tensor().narrow(0, 0, fresh_rows.begin).copy_from(old->value.tensor());
      const MeanRows mean(rows, known, rng.fork(fresh.name));
      parallel_for(fresh_rows.size(), 1,
                   [&](int64_t i) { mean.draw(i, rows.at(fresh_rows.begin + i)); });
      return true;
    });
  }

  std::string note(const ModelConfig& from) const override {
    return fmt::format("{} new rows near the mean of the old ones, which keep their logits",
                       config(from).vocab_size - from.vocab_size);
  }

 private:
  ConversionOptions options_;
};

}  // namespace

std::unique_ptr<Conversion> make_vocabulary_conversion(const ConversionOptions& options) {
  if (!options.vocab_size && !options.pad_vocab_to) return nullptr;
  return std::make_unique<VocabularyConversion>(options);
}

}  // namespace lathe
